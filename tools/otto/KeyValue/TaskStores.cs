using Otto.Ipc;

namespace Otto.Tools.KeyValue;

// The same words on every transport: a key on the command line is TASK.KEY. The server of sockets knows
// such keys itself; elsewhere a task's store is opened.

/// <summary>The stores of a transport behind keys of the form TASK.KEY.</summary>
internal sealed class TaskStores(IStoreTransport transport) : IAsyncDisposable
{
    private static readonly char[] Wild = ['*', '?', '[', '\\'];

    public async ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancellationToken)
    {
        (ChannelName task, string own) = Split(key);
        await using IKeyValueStore store = await transport.OpenStoreAsync(task, cancellationToken);
        return await store.GetAsync(own, cancellationToken);
    }

    public async ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken)
    {
        (ChannelName task, string own) = Split(key);
        await using IKeyValueStore store = await transport.OpenStoreAsync(task, cancellationToken);
        await store.SetAsync(own, value, cancellationToken);
    }

    public async ValueTask<bool> DeleteAsync(string key, CancellationToken cancellationToken)
    {
        (ChannelName task, string own) = Split(key);
        await using IKeyValueStore store = await transport.OpenStoreAsync(task, cancellationToken);
        return await store.DeleteAsync(own, cancellationToken);
    }

    public async ValueTask<IReadOnlyList<string>> ListAsync(string pattern, CancellationToken cancellationToken)
    {
        (ChannelName task, string own) = SplitPattern(pattern);
        await using IKeyValueStore store = await transport.OpenStoreAsync(task, cancellationToken);
        return [.. (await store.ListAsync(own, cancellationToken)).Select(key => $"{task}.{key}")];
    }

    public async ValueTask<IStoreWatch> WatchAsync(string pattern, bool snapshot, CancellationToken cancellationToken)
    {
        (ChannelName task, string own) = SplitPattern(pattern);
        IKeyValueStore store = await transport.OpenStoreAsync(task, cancellationToken);
        try
        {
            return new Watch(store, await store.WatchAsync(own, snapshot, cancellationToken));
        }
        catch
        {
            await store.DisposeAsync();
            throw;
        }
    }

    public ValueTask DisposeAsync() => transport.DisposeAsync();

    private (ChannelName Task, string Key) Split(string key)
    {
        StoreKey.Check(key);
        int dot = key.IndexOf('.', StringComparison.Ordinal);
        if (dot <= 0 || dot == key.Length - 1)
            throw new ArgumentException($"the key '{key}' names no task; over {transport.Name} a key is TASK.KEY, such as build.step");
        return (new ChannelName(key[..dot]), key[(dot + 1)..]);
    }

    private (ChannelName Task, string Pattern) SplitPattern(string pattern)
    {
        int dot = pattern.IndexOf('.', StringComparison.Ordinal);
        if (dot <= 0 || dot == pattern.Length - 1 || pattern.AsSpan(0, dot).IndexOfAny(Wild) >= 0)
            throw new ArgumentException($"the pattern '{pattern}' names no task; over {transport.Name} each task has a store of its "
                + $"own: write TASK.GLOB, such as 'build.*'");
        return (new ChannelName(pattern[..dot]), pattern[(dot + 1)..]);
    }

    /// <summary>News of a task's store, told by the whole keys.</summary>
    private sealed class Watch(IKeyValueStore store, IStoreWatch inner) : IStoreWatch
    {
        public async IAsyncEnumerator<StoreChange> GetAsyncEnumerator(CancellationToken cancellationToken = default)
        {
            await foreach (StoreChange change in inner.WithCancellation(cancellationToken))
                yield return change with { Key = $"{store.Name}.{change.Key}" };
        }

        public async ValueTask DisposeAsync()
        {
            await inner.DisposeAsync();
            await store.DisposeAsync();
        }
    }
}
