using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Streams;

// Looks at what lies in a FIFO without taking it out: tee(2) shows it through a private pipe, from which it is copied here. Bytes leave
// the FIFO only when the message they belong to was read, so a receiver that is disposed or killed leaves its successor whole messages.

internal sealed class PipePeeker : IDisposable
{
    private const int ScratchBytes = Pipe.PageBytes;
    private readonly Pipe _pipe, _showIn, _showOut, _keeper;
    private readonly byte[] _seen;
    private readonly byte[] _scratch = new byte[ScratchBytes];
    private int _start, _end;
    private Pipe _nowhere;
    private ReadinessPoller? _arrivals;

    public PipePeeker(string path, FrameRules rules, FifoStreamOptions options)
    {
        _pipe = FifoFile.OpenReading(path);
        try
        {
            int wanted = Math.Max(options.PipeBytes, rules.NeededPipeBytes);
            int pipe = _pipe.Grow(wanted);
            (_showOut, _showIn) = Pipe.Make();
            int shown = _showIn.Grow(pipe);
            if (Math.Min(pipe, shown) < rules.NeededPipeBytes)
            {
                throw new IOException(
                    $"messages of up to {rules.MaxMessageBytes:N0} bytes need a pipe of {rules.NeededPipeBytes:N0}, but the system "
                    + $"allows {Math.Min(pipe, shown):N0} "
                    + $"(see {Pipe.SizeLimits}); lower MaxMessageBytes");
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

    /// <summary>What becomes readable when there is something to see that was not there at
    /// the last <see cref="Peek"/>.</summary>
    public int WaitId => _end == _start ? _pipe.Id : Arrivals().Id;

    /// <summary>Whether there may be no sender left. The last check found an empty pipe that no sender has open, or
    /// bytes that a sender may have left.</summary>
    public bool MayHaveEnded { get; private set; }

    /// <summary>Whether no sender has the FIFO open any more. Before the first one came this is false.</summary>
    public bool HasEnded => _pipe.HasNoWriter;

    /// <summary>Checks the pipe again.</summary>
    /// <returns><see langword="true"/> if there is more to see than before; otherwise,
    /// <see langword="false"/>.</returns>
    public bool Peek()
    {
        int before = _end - _start;
        // Heard before the look, so that what comes after it is heard again.
        if (before > 0) _arrivals?.Wait(0);
        PipeTransfer transfer = _pipe.ShowTo(_showIn, _seen.Length);
        MayHaveEnded = !transfer.Failed;
        if (transfer.Failed) return transfer.WouldBlock ? false : throw transfer.ToException("tee", "a FIFO");
        int shown = transfer.Bytes;
        // From the private pipe all of it comes at once; what is there already is seen again, from the buffer's beginning.
        _start = _end = 0;
        while (_end < shown)
        {
            PipeTransfer read = _showOut.Read(_seen.AsSpan(_end));
            if (read.Bytes <= 0) throw read.ToException("read", "a pipe that was filled");
            _end += read.Bytes;
        }

        return _end > before;
    }

    /// <summary>Takes bytes out, from the beginning of what was seen.</summary>
    public void Take(int bytes)
    {
        _start += bytes;
        while (bytes > 0)
        {
            int taken = (bytes <= ScratchBytes ? _pipe.Read(_scratch.AsSpan(0, bytes)) : _pipe.MoveTo(Nowhere(), bytes)).Bytes;
            if (taken <= 0) throw new IOException($"{bytes:N0} bytes that were seen in a FIFO are gone: another program reads from it");
            bytes -= taken;
        }
    }

    public void Dispose()
    {
        _arrivals?.Dispose();
        foreach (Pipe pipe in (ReadOnlySpan<Pipe>)[_nowhere, _keeper, _showIn, _showOut, _pipe]) pipe.Close();
    }

    /// <summary>Gets a poller for new bytes. A pipe that contains a partial frame is always readable, so only arrivals
    /// count.</summary>
    private ReadinessPoller Arrivals()
    {
        if (_arrivals is not null) return _arrivals;
        _arrivals = new ReadinessPoller();
        _arrivals.Add(_pipe.Id, PollEvents.Readable | PollEvents.EdgeTriggered, 0);
        return _arrivals;
    }

    private Pipe Nowhere()
    {
        if (!_nowhere.IsOpen) _nowhere = Pipe.OpenNowhere();
        return _nowhere;
    }
}
