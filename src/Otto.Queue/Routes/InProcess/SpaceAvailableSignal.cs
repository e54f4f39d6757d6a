namespace Otto.Queue;

// Tells producers that wait at a full ring when there is room again, for a good part of it at once: waking one producer a task would make
// each task cost a wake-up.

internal sealed class SpaceAvailableSignal(int capacity)
{
    // Enough room to be worth a wake-up; small rings wake at the first free place.
    private readonly int _wakeBelow = capacity - Math.Max(1, capacity / 8);
    private readonly Lock _lock = new();
    private TaskCompletionSource? _room;
    private int _waiters;

    internal bool HasWaiters => Volatile.Read(ref _waiters) != 0;

    /// <summary>The next signal. Ask for it first, then try once more, then wait.</summary>
    internal Task Next
    {
        get
        {
            lock (_lock)
            {
                Volatile.Write(ref _waiters, 1);
                // Pairs with nothing at all in LocalQueue.TryDequeue, which is the point: a worker frees a cell and then looks for waiters
                // without a fence of its own.
                // Without this it could miss us while we miss its cell, and we would wait at an empty ring.
                Interlocked.MemoryBarrierProcessWide();
                return (_room ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }
        }
    }

    /// <summary>Notes that a task was taken.</summary>
    /// <param name="count">How many are left.</param>
    internal void OnDequeued(int count)
    {
        if (count <= _wakeBelow) ReleaseAll();
    }

    /// <summary>Lets those that wait try again; nothing if there are none.</summary>
    internal void ReleaseWaiters()
    {
        if (HasWaiters) ReleaseAll();
    }

    internal void ReleaseAll()
    {
        TaskCompletionSource? room;
        lock (_lock)
        {
            room = _room;
            _room = null;
            Interlocked.Exchange(ref _waiters, 0);
        }

        room?.TrySetResult();
    }
}
