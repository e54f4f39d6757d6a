namespace Otto.Queue;

// The keys of tasks that no route beyond this process knows of. A recurring task that was replaced while it runs keeps its successor
// waiting here until it has ended.

internal sealed class LocalKeys
{
    private readonly Dictionary<string, Entry> _keys = [];

    /// <summary>Held while a key and the tasks that have it are changed in one step.</summary>
    internal Lock Lock { get; } = new();

    /// <summary>Registers a key.</summary>
    /// <returns><see langword="false"/> if another task has it.</returns>
    internal bool TryAdd(string key, DelayedTask task)
    {
        lock (Lock) return _keys.TryAdd(key, new Entry { Id = task.Id, Recurring = task.Repeats ? task : null });
    }

    /// <summary>The task that has a key; default if it ended meanwhile.</summary>
    internal TaskId OwnerOf(string key)
    {
        lock (Lock) return _keys.TryGetValue(key, out Entry? entry) ? entry.Id : default;
    }

    /// <summary>The recurring task that has a key.</summary>
    /// <param name="key">The key.</param>
    /// <param name="isCancelled">Whether it ends with the run that it is in, or is to be passed over.</param>
    internal DelayedTask? RecurringOf(string key, out bool isCancelled)
    {
        lock (Lock)
        {
            Entry? entry = _keys.GetValueOrDefault(key);
            isCancelled = entry is { IsCancelled: true };
            return entry?.Recurring;
        }
    }

    /// <summary>Notes that the task that has a key was cancelled: another recurring task can have it.</summary>
    internal void NoteCancelled(string key, TaskId id)
    {
        lock (Lock)
        {
            if (_keys.TryGetValue(key, out Entry? entry) && entry.Id == id) entry.IsCancelled = true;
        }
    }

    /// <summary>Gives a key to a recurring task.</summary>
    internal void Set(string key, DelayedTask task)
    {
        lock (Lock) _keys[key] = new Entry { Id = task.Id, Recurring = task };
    }

    /// <summary>Gives a key to a recurring task that begins when the one before it has ended.</summary>
    internal void SetNext(string key, DelayedTask task, TimeSpan delay)
    {
        lock (Lock)
        {
            Entry old = _keys[key];
            TaskId runs = old.Previous == default ? old.Id : old.Previous;
            _keys[key] = new Entry { Id = task.Id, Recurring = task, Previous = runs, Next = (task, delay) };
        }
    }

    /// <summary>Takes a task out that waits for the one before it.</summary>
    internal DelayedTask? TryRemoveNext(TaskId id)
    {
        lock (Lock)
        {
            foreach (Entry entry in _keys.Values)
            {
                if (entry.Id != id || entry.Next is not { } next) continue;
                entry.Next = null;
                return next.Task;
            }
        }

        return null;
    }

    /// <summary>Frees the key of a task that has ended.</summary>
    /// <returns>The task that has waited for this end.</returns>
    internal (DelayedTask Task, TimeSpan Delay)? Release(string key, TaskId id)
    {
        lock (Lock)
        {
            if (!_keys.TryGetValue(key, out Entry? entry)) return null;
            if (entry.Id == id) _keys.Remove(key);
            if (entry.Previous != id) return null;
            (DelayedTask Task, TimeSpan Delay)? next = entry.Next;
            entry.Previous = default;
            entry.Next = null;
            return next;
        }
    }

    private sealed class Entry
    {
        internal TaskId Id { get; init; }

        internal DelayedTask? Recurring { get; init; }

        internal bool IsCancelled { get; set; }

        /// <summary>The task that still runs; <see cref="Next"/> begins after it.</summary>
        internal TaskId Previous { get; set; }

        internal (DelayedTask Task, TimeSpan Delay)? Next { get; set; }
    }
}
