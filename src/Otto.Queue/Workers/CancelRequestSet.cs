using System.Collections.Concurrent;

namespace Otto.Queue;

// Tasks that were cancelled where nothing could be taken out: from a ring's middle, or from the hands of a worker that has not begun. The worker that comes to one passes over it.

internal sealed class CancelRequestSet
{
    // Others' requests may concern tasks that never come here: the oldest are forgotten.
    private const int MostHeard = 1024;

    private readonly ConcurrentDictionary<TaskId, bool> _requests = new();
    private readonly ConcurrentQueue<TaskId> _heard = new();
    private int _count;

    /// <summary>Whether there are any: one look for each task.</summary>
    internal bool Any => Volatile.Read(ref _count) != 0;

    internal void Add(TaskId id)
    {
        if (_requests.TryAdd(id, true)) Interlocked.Increment(ref _count);
    }

    internal void AddHeard(TaskId id)
    {
        Add(id);
        _heard.Enqueue(id);
        while (_heard.Count > MostHeard && _heard.TryDequeue(out TaskId oldest)) TryTake(oldest);
    }

    internal bool TryTake(TaskId id)
    {
        if (!_requests.ContainsKey(id) || !_requests.TryRemove(id, out _)) return false; // The look takes no lock.
        Interlocked.Decrement(ref _count);
        return true;
    }
}
