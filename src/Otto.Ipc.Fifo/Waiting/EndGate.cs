namespace Otto.Ipc.Fifo.Waiting;

// An end serves one thread at a time, and is closed by whoever is last: dispose, or the call, slot or lease that was open beside it.

internal sealed class EndGate
{
    private const int Busy = 1, Closed = 2;
    private int _state;

    public bool IsClosed => (Volatile.Read(ref _state) & Closed) != 0;

    /// <summary>Begins a call. Every call that returns from here ends with <see cref="Exit"/>.</summary>
    public void Enter()
    {
        // Acquire: pairs with the release in Exit; what the call before did to the end is seen.
        int was = Interlocked.CompareExchange(ref _state, Busy, 0);
        if (was == 0) return;
        if ((was & Closed) != 0) ThrowClosed();
        throw new InvalidOperationException("this end is in use: it serves one thread at a time, and a reserved slot or a lease must be disposed before the next call");
    }

    /// <summary>Ends a call, a reservation or a lease.</summary>
    /// <returns>Whether the end was disposed meanwhile, so that the caller is to release it.</returns>
    public bool Exit() => Interlocked.And(ref _state, ~Busy) == (Busy | Closed);

    /// <summary>Closes the end.</summary>
    /// <returns>Whether nobody is in a call, so that the caller is to release it.</returns>
    public bool Close() => Interlocked.Or(ref _state, Closed) == 0;

    public void ThrowIfClosed()
    {
        if (IsClosed) ThrowClosed();
    }

    public static void ThrowClosed() => throw new ObjectDisposedException("end of a stream", "this end was disposed");
}
