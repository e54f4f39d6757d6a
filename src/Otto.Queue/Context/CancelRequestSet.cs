using System.Collections.Concurrent;

namespace Otto.Queue;

// Requests to cancel that are waiting for whoever comes to their task.

/// <summary>The tasks that were cancelled where nothing could be taken out: from a ring's middle, or from a worker that
/// has not begun. The worker that takes one of them passes over it.</summary>
internal sealed class CancelRequestSet
{
    // Others' requests may concern tasks that never come here: the oldest are forgotten.
    private const int MostReceived = 1024;

    private readonly ConcurrentDictionary<TaskId, bool> _requests = new();
    private readonly ConcurrentQueue<TaskId> _received = new();
    private int _count;

    /// <summary>Whether there are any: one check for each task.</summary>
    internal bool Any => Volatile.Read(ref _count) != 0;

    internal void Add(TaskId id)
    {
        if (_requests.TryAdd(id, true)) Interlocked.Increment(ref _count);
    }

    internal void AddReceived(TaskId id)
    {
        Add(id);
        _received.Enqueue(id);
        while (_received.Count > MostReceived && _received.TryDequeue(out TaskId oldest)) TryTake(oldest);
    }

    internal bool TryTake(TaskId id)
    {
        if (!_requests.ContainsKey(id) || !_requests.TryRemove(id, out _)) return false; // The look takes no lock.
        Interlocked.Decrement(ref _count);
        return true;
    }
}
