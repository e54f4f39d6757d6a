using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Streams;

// Looks at what lies in a FIFO without taking it out: tee(2) shows it through a private pipe, from which it is copied here. Bytes leave
// the FIFO only when the message they belong to was read, so a receiver that is disposed or killed leaves its successor whole messages.

internal sealed class PipePeeker : IDisposable
{
    private const int ScratchBytes = PipeCalls.PageBytes;
    private readonly int _fd;
    private readonly int _showIn, _showOut;
    private readonly int _keeper = -1;
    private readonly byte[] _seen;
    private readonly byte[] _scratch = new byte[ScratchBytes];
    private int _start, _end;
    private int _nowhere = -1;
    private int _edges = -1;

    public PipePeeker(string path, FrameRules rules, FifoStreamOptions options)
    {
        _showIn = _showOut = -1;
        _fd = FifoFile.OpenReading(path);
        try
        {
            int wanted = Math.Max(options.PipeBytes, rules.NeededPipeBytes);
            int pipe = PipeCalls.Grow(_fd, wanted);
            (_showOut, _showIn) = PipeCalls.MakePipe();
            int shown = PipeCalls.Grow(_showIn, pipe);
            if (Math.Min(pipe, shown) < rules.NeededPipeBytes)
            {
                throw new IOException(
                    $"messages of up to {rules.MaxMessageBytes:N0} bytes need a pipe of {rules.NeededPipeBytes:N0}, and the system gives {Math.Min(pipe, shown):N0} "
                    + "(/proc/sys/fs/pipe-max-size and pipe-user-pages-soft bound it); lower MaxMessageBytes");
            }

            _seen = new byte[Math.Min(pipe, shown)];
            if (options.KeepOpen) _keeper = FifoFile.TryOpenWriting(path);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What was seen and not taken.</summary>
    public ReadOnlySpan<byte> Unread => _seen.AsSpan(_start, _end - _start);

    /// <summary>A descriptor that becomes readable when there is something to see that was not there at the last look.</summary>
    public int News => _end == _start ? _fd : Edges();

    /// <summary>Whether no sender may be left, by the last look: it saw nothing, and nobody to come; or it saw what one may have left.</summary>
    public bool MayHaveEnded { get; private set; }

    /// <summary>Whether no sender has the FIFO open any more. Before the first one came this is false.</summary>
    public bool HasEnded => (PipeCalls.Poll(_fd, PipeCalls.POLLIN) & PipeCalls.POLLHUP) != 0;

    /// <summary>Looks again.</summary>
    /// <returns>Whether there is more to see than before.</returns>
    public bool Look()
    {
        int before = _end - _start;
        // Heard before the look, so that what comes after it is heard again.
        if (before > 0 && _edges >= 0) EpollCalls.Wait(_edges, stackalloc long[1], 0);
        int shown = PipeCalls.Show(_fd, _showIn, _seen.Length);
        MayHaveEnded = shown >= 0;
        if (shown < 0) return shown == -Libc.EAGAIN ? false : throw Libc.Failure("tee", "a FIFO", -shown);
        // From the private pipe all of it comes at once; what is there already is seen again, from the buffer's beginning.
        _start = _end = 0;
        while (_end < shown)
        {
            int read = PipeCalls.Read(_showOut, _seen.AsSpan(_end));
            if (read <= 0) throw Libc.Failure("read", "a pipe that was filled", -read);
            _end += read;
        }

        return _end > before;
    }

    /// <summary>Takes bytes out, from the beginning of what was seen.</summary>
    public void Take(int bytes)
    {
        _start += bytes;
        while (bytes > 0)
        {
            int taken = bytes <= ScratchBytes ? PipeCalls.Read(_fd, _scratch.AsSpan(0, bytes)) : PipeCalls.Move(_fd, Nowhere(), bytes);
            if (taken <= 0) throw new IOException($"{bytes:N0} bytes that were seen in a FIFO are gone: another program reads from it");
            bytes -= taken;
        }
    }

    public void Dispose()
    {
        foreach (int fd in (ReadOnlySpan<int>)[_edges, _nowhere, _keeper, _showIn, _showOut, _fd])
        {
            if (fd >= 0) _ = Libc.Close(fd);
        }
    }

    /// <summary>While half a frame lies in the pipe it is always readable: what counts is that something came.</summary>
    private int Edges()
    {
        if (_edges >= 0) return _edges;
        _edges = EpollCalls.Create();
        EpollCalls.Watch(_edges, _fd, EpollCalls.EPOLLIN | EpollCalls.EPOLLET, 0, first: true);
        return _edges;
    }

    private int Nowhere()
    {
        if (_nowhere < 0) _nowhere = Libc.Open("/dev/null", PipeCalls.O_WRONLY | Libc.O_CLOEXEC, 0);
        return _nowhere >= 0 ? _nowhere : throw Libc.Failure("open", "/dev/null");
    }
}
