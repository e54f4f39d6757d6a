namespace Otto.Ipc.Files.Streams;

// An end is used by one thread at a time; disposing it may come from any. Whoever is last out closes.

internal sealed class SoloGate(Action release)
{
    private const int Busy = 1, Closed = 2, Released = 4;
    private int _state;

    public bool IsClosed => (Volatile.Read(ref _state) & Closed) != 0;

    /// <summary>Begins a call, a reservation or a lease. Every one that returns from here ends with <see cref="Exit"/>.</summary>
    public void Enter()
    {
        int before = Interlocked.Or(ref _state, Busy);
        if ((before & Busy) != 0)
            throw new InvalidOperationException("this end is in use: it serves one thread at a time, and a reserved slot or a lease must be disposed before the next call");
        if ((before & Closed) == 0) return;
        Exit();
        ThrowClosed();
    }

    public void Exit()
    {
        if ((Interlocked.And(ref _state, ~Busy) & Closed) != 0) ReleaseOnce();
    }

    /// <summary>Refuses further calls; what is in flight is left to finish.</summary>
    public void Close()
    {
        int before = Interlocked.Or(ref _state, Closed);
        if ((before & (Closed | Busy)) == 0) ReleaseOnce();
    }

    public void ThrowIfClosed()
    {
        if (IsClosed) ThrowClosed();
    }

    private void ReleaseOnce()
    {
        // Not while somebody has entered meanwhile, who will see that it is closed and come here.
        if (Interlocked.CompareExchange(ref _state, Closed | Released, Closed) == Closed) release();
    }

    private static void ThrowClosed() => throw new ObjectDisposedException("end of a stream", "this end was disposed");
}
