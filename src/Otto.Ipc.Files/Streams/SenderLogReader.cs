using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Files.Messages;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Streams;

// Reads the lines of a lane. A line without an end is left for later: its sender may be in the middle of it. It is given up only once a
// next piece of the log begins right behind it.

internal sealed class SenderLogReader : IDisposable
{
    private const int FirstBuffer = 16 * 1024;

    private readonly SenderLogFiles _log;
    private readonly int _mostLine;
    private readonly SafeFileHandle _positionFile;
    private SafeFileHandle? _segment;
    private string _path = "";
    private long _begin, _position;
    private byte[] _buffer = [];
    private int _start, _end, _searched;
    private bool _unstored;

    /// <summary>Continues where the lane's last receiver ended. The caller is the stream's only receiver.</summary>
    /// <exception cref="CorruptSegmentException">The position is outside the log.</exception>
    public SenderLogReader(SenderLogFiles log, int mostLine)
    {
        _log = log;
        // With room for a carriage return.
        _mostLine = mostLine + 1;
        _positionFile = PrivateFile.OpenOrCreate(log.Read);
        try
        {
            _position = ReadPosition.Load(_positionFile, log.Read);
            // A file without a position says nothing of what was read: the log begins where it begins.
            if (RandomAccess.GetLength(_positionFile) == 0 && log.Segments() is [var first, ..]) _position = first;
            Store();
            FindSegment();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public SenderLogFiles Files => _log;

    /// <summary>Whether the lane was deleted while it was open here.</summary>
    public bool IsRemoved => PrivateFiles.Status(_positionFile).HasNoName;

    /// <summary>Shows the next line, without its end.</summary>
    /// <param name="line">Valid until the next call here.</param>
    /// <param name="bytes">How many bytes of the log it takes.</param>
    /// <returns><see langword="true"/> if a whole line is waiting; otherwise, <see langword="false"/>.</returns>
    /// <exception cref="CorruptSegmentException">A line is longer than any message may be.</exception>
    public bool TryPeek(out ReadOnlyMemory<byte> line, out int bytes)
    {
        while (true)
        {
            int end = _buffer.AsSpan(_searched, _end - _searched).IndexOf((byte)'\n');
            if (end >= 0)
            {
                bytes = _searched + end + 1 - _start;
                line = MessageText.WithoutEnd(_buffer.AsMemory(_start, bytes));
                if (bytes > _mostLine) throw TooLong(bytes);
                if (!line.IsEmpty) return true;
                // A blank line is no message: ours never write one.
                Advance(bytes);
                continue;
            }

            _searched = _end;
            if (_end - _start > _mostLine) throw TooLong(_end - _start);
            if (Fill()) continue;
            line = default;
            bytes = 0;
            return false;
        }
    }

    /// <summary>Counts bytes of the log as read.</summary>
    public void Advance(int bytes)
    {
        _start += bytes;
        _searched = Math.Max(_searched, _start);
        MoveTo(_position + bytes);
    }

    public void Dispose()
    {
        _segment?.Dispose();
        _positionFile.Dispose();
    }

    /// <summary>Reads more of the log.</summary>
    /// <returns><see langword="true"/> if more of the log was read; <see langword="false"/> if there is no more
    /// now.</returns>
    private bool Fill()
    {
        if (_segment is null && !FindSegment()) return false;
        MakeRoom();
        long end = _position - _begin + (_end - _start);
        int read = RandomAccess.Read(_segment!, _buffer.AsSpan(_end), end);
        _end += read;
        if (read > 0) return true;
        // The next piece has the name of the place where this one ends, and whoever began it will not write here again.
        if (end == 0 || PrivateFiles.Status(_log.SegmentPath(_begin + end)) is null) return false;
        MoveTo(_begin + end);
        _start = _end = _searched = 0;
        return FindSegment();
    }

    private void MakeRoom()
    {
        if (_end < _buffer.Length) return;
        int kept = _end - _start;
        byte[] target = _buffer.Length > kept * 2L ? _buffer
            : new byte[Math.Min(Math.Max(FirstBuffer, _buffer.Length * 2L), _mostLine + FirstBuffer)];
        _buffer.AsSpan(_start, kept).CopyTo(target);
        _buffer = target;
        _searched -= _start;
        (_start, _end) = (0, kept);
    }

    /// <summary>Opens the segment of the log that contains the position, and removes the segments that were
    /// read.</summary>
    private bool FindSegment()
    {
        long[] segments = _log.Segments();
        if (segments.Length == 0) return false;
        int at = Array.FindLastIndex(segments, begin => begin <= _position);
        if (at < 0)
        {
            throw new CorruptSegmentException(
                $"{_log.Directory} was read up to {_position:N0}, its log begins at {segments[0]:N0}: a piece is missing; write "
                + $"{segments[0]} into {_log.Read} (twice) to continue there");
        }

        string path = _log.SegmentPath(segments[at]);
        SafeFileHandle segment = PrivateFile.TryOpen(path, FileAccess.Read)
            ?? throw new IOException($"{path} was removed while it was being opened");
        long end = segments[at] + RandomAccess.GetLength(segment);
        if (_position > end)
        {
            segment.Dispose();
            throw new CorruptSegmentException(
                $"{_log.Read} says {_position:N0}, the log in {_log.Directory} ends at {end:N0}; remove {_log.Read} to read it from "
                + $"its beginning");
        }

        for (int i = 0; i < at; i++) PrivateFile.Remove(_log.SegmentPath(segments[i]));
        if (_unstored && at > 0) Store();
        _segment?.Dispose();
        (_segment, _path, _begin) = (segment, path, segments[at]);
        return true;
    }

    private void MoveTo(long position)
    {
        _position = position;
        Store();
    }

    private void Store()
    {
        try
        {
            ReadPosition.Store(_positionFile, _log.Read, _position);
            _unstored = false;
        }
        catch (IOException e) when (PrivateFiles.IsFull(e))
        {
            // A full disk, and a file that never had its bytes. Reading on is what frees some. The position follows as soon as it can,
            // and a receiver that begins before that reads these lines again.
            _unstored = true;
        }
    }

    private CorruptSegmentException TooLong(int bytes) => new(
        $"{_path} has a line of {bytes:N0} bytes or more at {_position - _begin:N0}, the longest of this stream is {_mostLine - 1:N0}; "
        + $"repair it, or write a later position into {_log.Read} (twice)");
}
