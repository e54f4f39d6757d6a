using System.Collections.Concurrent;

namespace Otto.Queue;

// The keys of tasks that no route beyond this process knows of.

internal sealed class LocalKeys
{
    private readonly ConcurrentDictionary<string, TaskId> _keys = new();

    /// <summary>Registers a key.</summary>
    /// <returns><see langword="false"/> if another task has it.</returns>
    internal bool TryAdd(string key, TaskId id) => _keys.TryAdd(key, id);

    /// <summary>The task that has a key; default if it ended meanwhile.</summary>
    internal TaskId OwnerOf(string key) => _keys.GetValueOrDefault(key);

    internal void Release(string key, TaskId id) => _keys.TryRemove(KeyValuePair.Create(key, id));
}
