using System.Buffers.Binary;
using System.Text;
using Otto.Ipc.Fifo.Paths;

namespace Otto.Ipc.Fifo.Streams;

// Finds the next frame in what a receiver sees of its FIFO, and tells what half a frame means: more to come, or the end of a sender.

/// <summary>What a look at the FIFO found.</summary>
internal enum Sight
{
    /// <summary>No message, or not all of one.</summary>
    Nothing,

    /// <summary>A whole message.</summary>
    Message,

    /// <summary>Something to throw.</summary>
    Trouble,

    /// <summary>All senders have left, and all that they sent was read.</summary>
    End,
}

internal sealed class FrameReader(StreamFile file, PipePeeker view)
{
    private const int LookForDeaths = 250, ShownBytes = 32;
    private readonly FrameRules _rules = file.Rules;
    private Exception? _trouble;
    private bool _broken;
    private bool _skipping;
    private int _searched;

    /// <summary>Where the message that was found begins in what is unread.</summary>
    public int PayloadAt => _rules.Framing == FifoFraming.LengthPrefixed ? FrameRules.LengthBytes : 0;

    /// <summary>What to sleep on while there is nothing. Half a frame may have lost its sender, which only a look can tell.</summary>
    public Waiting.Pause Pause => new(view.News, Platform.PipeCalls.POLLIN, view.Unread.IsEmpty ? 0 : LookForDeaths);

    /// <summary>Looks for the next message.</summary>
    /// <param name="bytes">How long it is, where there is one.</param>
    public Sight Find(out int bytes)
    {
        while (true)
        {
            bytes = 0;
            if (_trouble is not null) return Sight.Trouble;
            if (TryParse(out bytes)) return Sight.Message;
            if (_trouble is not null || view.Look()) continue;
            if (!view.MayHaveEnded) return Sight.Nothing;
            if (view.HasEnded)
            {
                // What was written before the last sender left is there now.
                if (view.Look()) continue;
                if (view.Unread.IsEmpty) return Sight.End;
                TakeCut(locked: _rules.NeedsLock && file.TryLockWriting());
            }
            else if (view.Unread.IsEmpty || !TakeHopeless())
            {
                return Sight.Nothing;
            }
        }
    }

    /// <summary>Throws what was found, once, unless nothing can be told apart any more.</summary>
    public void ThrowTrouble()
    {
        Exception? trouble = _trouble;
        if (!_broken) _trouble = null;
        if (trouble is not null) throw trouble;
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
        ReadOnlySpan<byte> unread = view.Unread;
        bytes = 0;
        if (unread.Length < FrameRules.LengthBytes) return false;
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(unread);
        if (length > (uint)_rules.MaxMessageBytes)
        {
            Break($"a message in {file.FifoPath} says that it has {length:N0} bytes, over the limit of {_rules.MaxMessageBytes:N0}; "
                + $"its length is {Show(unread[..FrameRules.LengthBytes])}. Raise MaxMessageBytes, or see who writes without lengths");
            return false;
        }

        bytes = (int)length;
        return unread.Length >= FrameRules.LengthBytes + bytes;
    }

    private bool TryLine(out int bytes)
    {
        ReadOnlySpan<byte> unread = view.Unread;
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
    private bool TakeHopeless()
    {
        if (_rules.NeedsLock && !file.TryLockWriting()) return false;
        try
        {
            // Under the lock no .NET sender is in the middle of a frame, unless it died there.
            if (view.Look()) return true;
            if (_rules.NeedsLock && file.IsFrameBegun)
            {
                TakeCut(locked: true);
                return true;
            }
        }
        finally
        {
            if (_rules.NeedsLock) file.UnlockWriting();
        }

        if (!FifoFile.IsFull(file.FifoPath)) return false;
        if (_rules.Framing == FifoFraming.Lines) SkipLine(view.Unread);
        else Break($"{view.Unread.Length:N0} bytes of a message fill the pipe of {file.FifoPath}, in pieces too small for the rest to come; have its writer write larger ones");
        return true;
    }

    private void TakeCut(bool locked)
    {
        byte[] received = view.Unread.ToArray();
        string path = file.FifoPath;
        string what = _rules.Framing == FifoFraming.Lines ? $"the last line in {path} is cut: {received.Length:N0} bytes came without a line feed"
            : received.Length < FrameRules.LengthBytes ? $"the last message in {path} is cut: {received.Length} of {FrameRules.LengthBytes} bytes of its length came"
            : $"the last message in {path} is cut: {received.Length - FrameRules.LengthBytes:N0} of its {BinaryPrimitives.ReadUInt32LittleEndian(received):N0} bytes came";
        Drop(received.Length);
        if (!_skipping) _trouble = new TruncatedFrameException($"{what} before its sender went: {Show(received)}", received);
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
        _trouble = new InvalidDataException(
            $"a line in {file.FifoPath} has more than {_rules.MaxMessageBytes:N0} bytes and was skipped; it begins with {Show(line)}. Raise MaxMessageBytes");
        Drop(bytes);
    }

    private void Drop(int bytes)
    {
        _searched = 0;
        try
        {
            view.Take(bytes);
        }
        catch (IOException e)
        {
            Break(e.Message);
        }
    }

    private void Break(string message)
    {
        _broken = true;
        _trouble = new InvalidDataException(message);
    }

    /// <summary>The beginning of some bytes: as text where it is text, else in hexadecimal.</summary>
    private static string Show(ReadOnlySpan<byte> bytes)
    {
        ReadOnlySpan<byte> shown = bytes[..Math.Min(bytes.Length, ShownBytes)];
        string text = shown.IndexOfAnyExceptInRange((byte)' ', (byte)'~') < 0 ? $"'{Encoding.ASCII.GetString(shown)}'" : Convert.ToHexString(shown);
        return shown.Length == bytes.Length ? text : text + "…";
    }
}
