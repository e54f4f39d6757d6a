using System.Diagnostics.CodeAnalysis;

namespace Otto.Ipc.Endpoints;

// Counts what is in flight on a handle that many threads use: calls, reserved slots, leases. Disposing refuses new ones; whoever is
// last out closes. So nothing is unmapped under a call, and this participant stays alive for others while it holds anything.

internal sealed class UseCounter(Action close) : IClosableEnd
{
    private const long Closed = 1L << 62, Released = 1L << 61;
    private long _inFlight;

    public bool IsClosed => (Volatile.Read(ref _inFlight) & Closed) != 0;

    /// <summary>Begins a call. Every call that returns from here ends with <see cref="Exit"/>.</summary>
    public void Enter()
    {
        if ((Interlocked.Increment(ref _inFlight) & Closed) == 0) return;
        Exit();
        ThrowClosed();
    }

    /// <summary>Throws where the handle was disposed.</summary>
    public void ThrowIfClosed()
    {
        if (IsClosed) ThrowClosed();
    }

    /// <summary>
    /// Enters for ending a slot or a lease, which may happen after the handle was closed, or may have happened before.
    /// </summary>
    /// <returns>
    /// <see langword="true"/> if the call may continue; <see langword="false"/> if the handle's memory is released, so
    /// that the slot or lease has ended.
    /// </returns>
    public bool TryEnterLate()
    {
        // What is still open counts itself, so for it the release lies ahead; a stale copy may come at any time, and must touch nothing
        // then.
        if ((Interlocked.Increment(ref _inFlight) & Released) == 0) return true;
        Interlocked.Decrement(ref _inFlight);
        return false;
    }

    /// <summary>Ends what was in flight.</summary>
    /// <param name="count">How many: a call alone, or a call and the slot or lease that it ended.</param>
    public void Exit(int count = 1)
    {
        // Whoever turns "closed, nothing in flight" into "released" closes, so it is done once, and never under somebody who entered
        // meanwhile.
        if (Interlocked.Add(ref _inFlight, -count) == Closed
            && Interlocked.CompareExchange(ref _inFlight, Closed | Released, Closed) == Closed) close();
    }

    /// <summary>Refuses new calls.</summary>
    /// <returns>
    /// <see langword="true"/> if this call closed the handle; <see langword="false"/> if it was closed before.
    /// </returns>
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

    [DoesNotReturn]
    private static void ThrowClosed() => throw new ObjectDisposedException(nameof(WorkQueue), "this handle of the queue was disposed");
}

/// <summary>What a process may dispose while another waits on it.</summary>
internal interface IClosableEnd
{
    bool IsClosed { get; }
}
