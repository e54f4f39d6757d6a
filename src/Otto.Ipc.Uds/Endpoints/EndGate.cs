namespace Otto.Ipc.Uds.Endpoints;

// What every end shares: one call at a time, a reserved slot or a lease being a long call, and a dispose that leaves the closing to whoever is last.

/// <summary>Lets one call in at a time, and closes once after the last.</summary>
/// <param name="what">The end's name in messages.</param>
/// <param name="close">Closes the end; called once.</param>
internal sealed class EndGate(string what, Action close)
{
    private const int Busy = 1, Disposed = 2, Closed = 4;
    private int _state;

    public bool IsDisposed => (Volatile.Read(ref _state) & Disposed) != 0;

    /// <summary>Begins a call. Every call that returns from here ends with <see cref="Exit"/>.</summary>
    public void Enter()
    {
        int state = Interlocked.CompareExchange(ref _state, Busy, 0);
        if (state == 0) return;
        ObjectDisposedException.ThrowIf((state & Disposed) != 0, what);
        throw new InvalidOperationException($"this {what} is in use: it serves one thread at a time, and a reserved slot or a lease must be disposed before the next call");
    }

    /// <summary>Ends a call, a reservation or a lease.</summary>
    public void Exit()
    {
        if ((Interlocked.And(ref _state, ~Busy) & Disposed) != 0) Close();
    }

    /// <summary>Refuses further calls.</summary>
    public void Dispose()
    {
        if ((Interlocked.Or(ref _state, Disposed) & Busy) == 0) Close();
    }

    public void ThrowIfDisposed() => ObjectDisposedException.ThrowIf(IsDisposed, what);

    private void Close()
    {
        if ((Interlocked.Or(ref _state, Closed) & Closed) == 0) close();
    }
}
