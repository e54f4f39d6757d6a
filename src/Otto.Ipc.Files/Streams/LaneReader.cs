using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Files.Messages;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Streams;

// Reads the lines of a lane. A line without an end is left for later: its sender may be in the middle of it. It is given up only once a
// next piece of the log begins right behind it.

internal sealed class LaneReader : IDisposable
{
    private const int FirstBuffer = 16 * 1024;

    private readonly LaneFiles _lane;
    private readonly int _mostLine;
    private readonly SafeFileHandle _positionFile;
    private SafeFileHandle? _segment;
    private string _path = "";
    private long _begin, _position;
    private byte[] _buffer = [];
    private int _start, _end, _searched;

    /// <summary>Continues where the lane's last receiver ended. The caller is the stream's only receiver.</summary>
    /// <exception cref="CorruptSegmentException">The position is outside the log.</exception>
    public LaneReader(LaneFiles lane, int mostLine)
    {
        _lane = lane;
        // With room for a carriage return.
        _mostLine = mostLine + 1;
        _positionFile = PrivateFile.OpenOrCreate(lane.Read);
        try
        {
            _position = ReadPosition.Load(_positionFile, lane.Read);
            ReadPosition.Store(_positionFile, lane.Read, _position);
            FindSegment();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    public LaneFiles Files => _lane;

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
        if (end == 0 || PrivateFiles.Status(_lane.SegmentPath(_begin + end)) is null) return false;
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
        long[] segments = _lane.Segments();
        if (segments.Length == 0) return false;
        int at = Array.FindLastIndex(segments, begin => begin <= _position);
        if (at < 0)
        {
            throw new CorruptSegmentException(
                $"{_lane.Directory} was read up to {_position:N0}, its log begins at {segments[0]:N0}: a piece is missing; write "
                + $"{segments[0]} into {_lane.Read} (twice) to go on there");
        }

        string path = _lane.SegmentPath(segments[at]);
        SafeFileHandle segment = PrivateFile.TryOpen(path, FileAccess.Read)
            ?? throw new IOException($"{path} was removed while it was being opened");
        long end = segments[at] + RandomAccess.GetLength(segment);
        if (_position > end)
        {
            segment.Dispose();
            throw new CorruptSegmentException(
                $"{_lane.Read} says {_position:N0}, the log in {_lane.Directory} ends at {end:N0}; remove {_lane.Read} to read it from "
                + $"its beginning");
        }

        for (int i = 0; i < at; i++) PrivateFile.Remove(_lane.SegmentPath(segments[i]));
        _segment?.Dispose();
        (_segment, _path, _begin) = (segment, path, segments[at]);
        return true;
    }

    private void MoveTo(long position)
    {
        _position = position;
        ReadPosition.Store(_positionFile, _lane.Read, position);
    }

    private CorruptSegmentException TooLong(int bytes) => new(
        $"{_path} has a line of {bytes:N0} bytes or more at {_position - _begin:N0}, the longest of this stream is {_mostLine - 1:N0}; "
        + $"mend it, or write a later position into {_lane.Read} (twice)");
}
