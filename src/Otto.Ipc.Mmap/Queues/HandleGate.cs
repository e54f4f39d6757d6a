namespace Otto.Ipc.Mmap.Queues;

// Counts what is in flight on a handle that many threads use: calls, reserved slots, leases. Disposing refuses new ones; whoever is
// last out closes. So nothing is unmapped under a call, and this participant stays alive for others while it holds anything.

internal sealed class HandleGate(Action close) : Doorbells.IClosableEnd
{
    private const long Closed = 1L << 62;
    private long _inFlight;

    public bool IsClosed => (Volatile.Read(ref _inFlight) & Closed) != 0;

    public void Enter()
    {
        if ((Interlocked.Increment(ref _inFlight) & Closed) == 0) return;
        Exit();
        throw new ObjectDisposedException(nameof(IWorkQueue), "this handle of the queue was disposed");
    }

    public void Exit()
    {
        if (Interlocked.Decrement(ref _inFlight) == Closed) close();
    }

    /// <summary>Refuses new calls.</summary>
    /// <returns><see langword="false"/> where that was done before.</returns>
    public bool Close()
    {
        // Counts itself as in flight, so that the handle closes once, and not before this returns to its caller.
        long before;
        do
        {
            before = Volatile.Read(ref _inFlight);
            if ((before & Closed) != 0) return false;
        }
        while (Interlocked.CompareExchange(ref _inFlight, (before | Closed) + 1, before) != before);
        return true;
    }
}
