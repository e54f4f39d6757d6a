namespace Otto.Ipc.Uds.Clients;

// A store is the keys that begin with its name and a dot: what a task's shell scripts see as task.key.

/// <summary>The store shape over the server of sockets.</summary>
internal sealed class UdsStore : IKeyValueStore
{
    private readonly SharedClient _shared;
    private readonly string _prefix;
    private int _disposed;

    public UdsStore(SharedClient shared, ChannelName name, int maxValueBytes)
    {
        _shared = shared;
        Name = name;
        _prefix = name.Value + ".";
        MaxValueBytes = maxValueBytes;
    }

    public ChannelName Name { get; }

    public int? MaxValueBytes { get; }

    public ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancellationToken = default) =>
        Client.GetAsync(Full(key), cancellationToken);

    public ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken = default)
    {
        if (value.Length > MaxValueBytes)
            throw new ArgumentException($"value of {value.Length:N0} bytes exceeds the server's limit of {MaxValueBytes:N0}",
                nameof(value));
        return Client.SetAsync(Full(key), value, cancellationToken);
    }

    public ValueTask<bool> DeleteAsync(string key, CancellationToken cancellationToken = default) =>
        Client.DeleteAsync(Full(key), cancellationToken);

    public async ValueTask<IReadOnlyList<string>> ListAsync(string pattern = "*", CancellationToken cancellationToken = default)
    {
        IReadOnlyList<string> keys = await Client.ListAsync(FullPattern(pattern), cancellationToken).ConfigureAwait(false);
        return [.. keys.Select(key => key[_prefix.Length..])];
    }

    public async ValueTask<IStoreWatch> WatchAsync(string pattern = "*", bool snapshot = false,
        CancellationToken cancellationToken = default) =>
        await StoreWatch.OpenAsync(Client, UdsClient.Pattern(FullPattern(pattern)), _prefix.Length, snapshot, cancellationToken)
        .ConfigureAwait(false);

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) == 0) _shared.Release();
        return default;
    }

    private UdsClient Client
    {
        get
        {
            ObjectDisposedException.ThrowIf(_disposed != 0, this);
            return _shared.Client;
        }
    }

    private string Full(string key)
    {
        StoreKey.Check(key);
        return _prefix + key;
    }

    private string FullPattern(string pattern) => _prefix + new KeyPattern(pattern);
}
