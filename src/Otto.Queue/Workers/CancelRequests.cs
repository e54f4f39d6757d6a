using System.Collections.Concurrent;

namespace Otto.Queue;

// Tasks in the ring that were cancelled: nothing can be taken from a ring's middle, so the worker that comes to one passes over it.

internal sealed class CancelRequests
{
    private readonly ConcurrentDictionary<TaskId, bool> _requests = new();
    private int _count;

    /// <summary>Whether there are any: one look for each task.</summary>
    internal bool Any => Volatile.Read(ref _count) != 0;

    internal void Add(TaskId id)
    {
        if (_requests.TryAdd(id, true)) Interlocked.Increment(ref _count);
    }

    internal bool TryTake(TaskId id)
    {
        if (!_requests.TryRemove(id, out _)) return false;
        Interlocked.Decrement(ref _count);
        return true;
    }
}
