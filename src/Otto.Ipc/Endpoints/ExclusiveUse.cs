using System.Diagnostics.CodeAnalysis;

namespace Otto.Ipc.Endpoints;

// An end of a stream serves one thread at a time, and a reserved slot or a lease is a long call. Disposing may come from any thread, and
// leaves the closing to the call that is open beside it.

/// <summary>Lets one call in at a time, and closes once after the last.</summary>
/// <param name="close">Closes the end; called once, on the thread that disposes or on the
/// one whose call ends last.</param>
/// <param name="what">The end's name in messages.</param>
internal sealed class ExclusiveUse(Action close, string what = "end") : IClosableEnd
{
    private const int Busy = 1, Closed = 2, Released = 4;
    private int _state;

    public bool IsClosed => (Volatile.Read(ref _state) & Closed) != 0;

    /// <summary>Begins a call. Every call that returns from here ends with <see cref="Exit"/>.</summary>
    public void Enter()
    {
        // Acquire: pairs with the release in Exit; what the call before did to the end is seen.
        int before = Interlocked.CompareExchange(ref _state, Busy, 0);
        if (before != 0) ThrowRefused(before);
    }

    /// <summary>Ends a call, a reservation or a lease.</summary>
    public void Exit()
    {
        if ((Interlocked.And(ref _state, ~Busy) & Closed) != 0) Release();
    }

    /// <summary>Refuses further calls; one that is open is left to finish.</summary>
    public void Close()
    {
        if ((Interlocked.Or(ref _state, Closed) & Busy) == 0) Release();
    }

    public void ThrowIfClosed()
    {
        if (IsClosed) ThrowRefused(Closed);
    }

    private void Release()
    {
        if ((Interlocked.Or(ref _state, Released) & Released) == 0) close();
    }

    [DoesNotReturn]
    private void ThrowRefused(int state)
    {
        if ((state & Closed) != 0) throw new ObjectDisposedException(what, $"this {what} was disposed");
        throw new InvalidOperationException(
            $"this {what} is in use: it serves one thread at a time, and a reserved slot or a lease must be disposed before the next call");
    }
}
