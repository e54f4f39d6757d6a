namespace Otto.Ipc.Files.Queues;

// Counts what is in flight on a handle that many threads use: calls, reserved slots, leases. Disposing refuses new ones; whoever is last out
// closes, so that this worker stays alive for others while it holds anything.

internal sealed class HandleGate(Action close)
{
    private readonly Lock _gate = new();
    private int _inFlight;
    private bool _closed, _released;

    public bool IsClosed
    {
        get
        {
            lock (_gate) return _closed;
        }
    }

    public void Enter()
    {
        lock (_gate)
        {
            ThrowIfClosed();
            _inFlight++;
        }
    }

    /// <summary>Enters for ending a slot or a lease, which may happen after the handle was closed, or may have happened before.</summary>
    /// <returns><see langword="false"/> where the handle has left, so that whatever it was has ended.</returns>
    public bool TryEnterLate()
    {
        lock (_gate)
        {
            if (_released) return false;
            _inFlight++;
            return true;
        }
    }

    /// <summary>Ends what was in flight.</summary>
    /// <param name="count">How many: a call alone, or a call and the slot or lease that it ended.</param>
    public void Exit(int count = 1)
    {
        lock (_gate)
        {
            _inFlight -= count;
            if (!_closed || _inFlight > 0 || _released) return;
            _released = true;
        }

        close();
    }

    /// <summary>Refuses new calls, and counts itself as in flight.</summary>
    /// <returns><see langword="false"/> where that was done before.</returns>
    public bool Close()
    {
        lock (_gate)
        {
            if (_closed) return false;
            _closed = true;
            _inFlight++;
            return true;
        }
    }

    public void ThrowIfClosed() => ObjectDisposedException.ThrowIf(IsClosed, typeof(WorkQueue));
}
