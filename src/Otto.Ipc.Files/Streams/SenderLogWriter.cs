using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Streams;

// Appends lines to a lane, and begins the next piece of its log when one is large enough. A line counts once its line end is written; what
// a killed sender left unfinished stays as it is, in front of a new piece, which tells the receiver that nobody will finish it.

internal sealed class SenderLogWriter : IDisposable
{
    private readonly SenderLogFiles _log;
    private readonly int _segmentBytes;
    private readonly FlushLevel _flush;
    private SafeFileHandle? _segment;
    private string _path = "";
    private long _begin;
    private bool _unfinished;

    /// <summary>Continues where the lane's last sender ended. The caller holds the lane's lock.</summary>
    public SenderLogWriter(SenderLogFiles log, int segmentBytes, FlushLevel flush)
    {
        _log = log;
        _segmentBytes = segmentBytes;
        _flush = flush;
        long[] segments = log.Segments();
        if (segments.Length == 0)
        {
            // The receiver's file gets its room now: should the disk be full later, a receiver can begin all the same, and free some.
            ReadPosition.Reserve(log);
            Tail = _begin = ReadPosition.Load(log);
            return;
        }

        _begin = segments[^1];
        _path = log.SegmentPath(_begin);
        _segment = PrivateFile.TryOpen(_path, FileAccess.ReadWrite, append: true)
            ?? throw new IOException($"{_path} was removed while it was being opened");
        LookAtEnd();
    }

    /// <summary>The position behind all that was written.</summary>
    public long Tail { get; private set; }

    /// <summary>Appends a line.</summary>
    /// <param name="line">The line with its end.</param>
    /// <exception cref="IOException">There is no room for it; the message has the numbers,
    /// and nothing was sent.</exception>
    public void Append(ReadOnlySpan<byte> line)
    {
        if (_segment is null || _unfinished || (Tail > _begin && Tail - _begin + line.Length > _segmentBytes)) BeginSegment();
        try
        {
            PrivateFile.Write(_segment!, _path, line, -1);
        }
        catch
        {
            LookAtEnd();
            throw;
        }

        // After the write: what is in a deleted file reaches nobody, and has not been sent.
        if (PrivateFiles.Status(_segment!).HasNoName)
            throw new IOException($"{_path} was deleted while it was open here, and the message was not sent; processes that open the "
                + "stream now use another log: dispose this sender and open it again");
        Tail += line.Length;
        if (_flush != FlushLevel.None) PrivateFile.Flush(_segment!, _path);
    }

    public void Dispose() => _segment?.Dispose();

    private void BeginSegment()
    {
        string path = _log.SegmentPath(Tail);
        SafeFileHandle next = PrivateFile.TryCreate(path, append: true)
            ?? throw new IOException($"{path} exists already: another program writes to the lane without its lock");
        if (_flush == FlushLevel.FileAndDirectory) PrivateFile.FlushDirectory(_log.Directory);
        _segment?.Dispose();
        (_segment, _path, _begin, _unfinished) = (next, path, Tail, false);
    }

    private void LookAtEnd()
    {
        long length = RandomAccess.GetLength(_segment!);
        Tail = _begin + length;
        Span<byte> last = stackalloc byte[1];
        _unfinished = length > 0 && (RandomAccess.Read(_segment!, last, length - 1) != 1 || last[0] != '\n');
    }
}
