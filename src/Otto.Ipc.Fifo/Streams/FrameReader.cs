using System.Buffers.Binary;
using System.Text;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Fifo.Waiting;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Streams;

// Finds the next frame in what a receiver sees of its FIFO, and tells what half a frame means: more to come, or the end of a sender.

/// <summary>What is next in the FIFO.</summary>
internal enum FrameState
{
    /// <summary>No message, or not all of one.</summary>
    Nothing,

    /// <summary>A whole message.</summary>
    Message,

    /// <summary>Something to throw.</summary>
    Error,

    /// <summary>All senders have left, and all that they sent was read.</summary>
    End,
}

internal sealed class FrameReader(StreamFile file, PipePeeker peeker)
{
    private const int SenderCheckInterval = 250, ShownBytes = 32;
    private readonly FrameRules _rules = file.Rules;
    private Exception? _error;
    private bool _broken;
    private bool _skipping;
    private int _searched;

    /// <summary>Where the message that was found begins in what is unread.</summary>
    public int PayloadAt => _rules.Framing == FifoFraming.LengthPrefixed ? FrameRules.LengthBytes : 0;

    /// <summary>Gets what to sleep on while there is no message. The sender of a partial frame may be gone, which only
    /// a poll can detect.</summary>
    public SleepSource SleepSource => new(peeker.WaitId, PollEvents.Readable, peeker.Unread.IsEmpty ? 0 : SenderCheckInterval);

    /// <summary>Finds the next message.</summary>
    /// <param name="bytes">How long it is, where there is one.</param>
    public FrameState Find(out int bytes)
    {
        while (true)
        {
            bytes = 0;
            if (_error is not null) return FrameState.Error;
            if (TryParse(out bytes)) return FrameState.Message;
            if (_error is not null || peeker.Peek()) continue;
            if (!peeker.MayHaveEnded) return FrameState.Nothing;
            if (peeker.HasEnded)
            {
                // What was written before the last sender left is there now.
                if (peeker.Peek()) continue;
                if (peeker.Unread.IsEmpty) return FrameState.End;
                TakeTruncated(locked: _rules.NeedsLock && file.TryLockWriting());
            }
            else if (peeker.Unread.IsEmpty || !TakeUnfinishable())
            {
                return FrameState.Nothing;
            }
        }
    }

    /// <summary>Throws the error that was found. Throws it once, or on every call if messages can no longer be
    /// separated.</summary>
    public void ThrowError()
    {
        Exception? error = _error;
        if (!_broken) _error = null;
        if (error is not null) throw error;
    }

    /// <summary>Counts the message that was found as read.</summary>
    public void Take(int bytes) => Drop(bytes + _rules.Overhead);

    private bool TryParse(out int bytes)
    {
        bytes = 0;
        return _rules.Framing == FifoFraming.LengthPrefixed ? TryLength(out bytes) : TryLine(out bytes);
    }

    private bool TryLength(out int bytes)
    {
        ReadOnlySpan<byte> unread = peeker.Unread;
        bytes = 0;
        if (unread.Length < FrameRules.LengthBytes) return false;
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(unread);
        if (length > (uint)_rules.MaxMessageBytes)
        {
            Break($"the length before a message in {file.FifoPath} is {length:N0} bytes, over the limit of {_rules.MaxMessageBytes:N0}; "
                + $"its bytes are {Show(unread[..FrameRules.LengthBytes])}. Raise MaxMessageBytes, or find the program that writes no "
                + $"length prefixes");
            return false;
        }

        bytes = (int)length;
        return unread.Length >= FrameRules.LengthBytes + bytes;
    }

    private bool TryLine(out int bytes)
    {
        ReadOnlySpan<byte> unread = peeker.Unread;
        _searched = Math.Min(_searched, unread.Length);
        int end = unread[_searched..].IndexOf((byte)'\n');
        bytes = _searched + end;
        _searched = end < 0 ? unread.Length : _searched;
        if (_skipping)
        {
            _skipping = end < 0;
            Drop(_skipping ? unread.Length : bytes + 1);
            return !_skipping && TryLine(out bytes);
        }

        if (end >= 0 && bytes <= _rules.MaxMessageBytes) return true;
        if (end < 0 && unread.Length <= _rules.MaxMessageBytes) return false;
        SkipLine(end < 0 ? unread : unread[..(bytes + 1)]);
        return false;
    }

    /// <summary>Half a frame that will not become whole: its sender died, or the pipe is full of it.</summary>
    private bool TakeUnfinishable()
    {
        if (_rules.NeedsLock && !file.TryLockWriting()) return false;
        try
        {
            // Under the lock no .NET sender is in the middle of a frame, unless it died there.
            if (peeker.Peek()) return true;
            if (_rules.NeedsLock && file.IsFrameBegun)
            {
                TakeTruncated(locked: true);
                return true;
            }
        }
        finally
        {
            if (_rules.NeedsLock) file.UnlockWriting();
        }

        if (!FifoFile.IsFull(file.FifoPath)) return false;
        if (_rules.Framing == FifoFraming.Lines) SkipLine(peeker.Unread);
        else Break($"{peeker.Unread.Length:N0} bytes of an unfinished message fill the pipe of {file.FifoPath}, because they were "
            + $"written in small pieces; write messages in larger pieces");
        return true;
    }

    private void TakeTruncated(bool locked)
    {
        byte[] received = peeker.Unread.ToArray();
        string path = file.FifoPath;
        string what = _rules.Framing == FifoFraming.Lines
            ? $"the last line in {path} is truncated: {received.Length:N0} bytes arrived without a line feed"
            : received.Length < FrameRules.LengthBytes
            ? $"the last message in {path} is truncated: {received.Length} of {FrameRules.LengthBytes} bytes of its length arrived"
            : $"the last message in {path} is truncated: {received.Length - FrameRules.LengthBytes:N0} of its "
            + $"{BinaryPrimitives.ReadUInt32LittleEndian(received):N0} bytes arrived";
        Drop(received.Length);
        if (!_skipping) _error = new TruncatedFrameException($"{what} before its sender closed: {Show(received)}", received);
        _skipping = false;
        if (!locked) return;
        file.IsFrameBegun = false;
        file.UnlockWriting();
    }

    /// <summary>Drops a line, or what came of it, and the rest when it comes.</summary>
    private void SkipLine(ReadOnlySpan<byte> line)
    {
        _skipping = line[^1] != (byte)'\n';
        int bytes = line.Length;
        line = _skipping ? line : line[..^1];
        _error = new InvalidDataException(
            $"a line in {file.FifoPath} has more than {_rules.MaxMessageBytes:N0} bytes and was skipped; it begins with {Show(line)}. "
            + $"Raise MaxMessageBytes");
        Drop(bytes);
    }

    private void Drop(int bytes)
    {
        _searched = 0;
        try
        {
            peeker.Take(bytes);
        }
        catch (IOException e)
        {
            Break(e.Message);
        }
    }

    private void Break(string message)
    {
        _broken = true;
        _error = new InvalidDataException(message);
    }

    /// <summary>The beginning of some bytes: as text where it is text, else in hexadecimal.</summary>
    private static string Show(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> shown = bytes[..Math.Min(bytes.Length, ShownBytes)];
        string text = shown.IndexOfAnyExceptInRange((byte)' ', (byte)'~') < 0 ? $"'{Encoding.ASCII.GetString(shown)}'"
            : Convert.ToHexString(shown);
        return shown.Length == bytes.Length ? text : text + "…";
    }
}
