using Otto.Ipc.Files.Paths;
using Otto.Ipc.Files.Watching;

namespace Otto.Ipc.Files.Stores;

// The store shape over one JSON file. Reading takes no lock; a change reads, composes and replaces under the lock, so that no writer undoes
// another's key, in whatever process or language it runs.

internal sealed class JsonStore : IKeyValueStore
{
    private readonly string _directory;
    private readonly FilesTransportOptions _options;
    private readonly StoreFile _file;
    private readonly LockFile _lock;
    // The threads of this handle share one descriptor, which flock cannot tell apart.
    private readonly SemaphoreSlim _writing = new(1);
    private volatile bool _closed;

    public JsonStore(string directory, ChannelName name, FilesTransportOptions options)
    {
        Name = name;
        _directory = directory;
        _options = options;
        _file = new StoreFile(directory, name, options);
        _lock = new LockFile(_file.LockPath);
    }

    public ChannelName Name { get; }

    public int? MaxValueBytes => _options.MaxValueBytes;

    public ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancellationToken = default)
    {
        StoreKey.Check(key);
        ObjectDisposedException.ThrowIf(_closed, this);
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<ReadOnlyMemory<byte>?>(cancellationToken);
        return new(_file.Read().Find(key) is { } json ? StoredJson.ToValue(json) : (ReadOnlyMemory<byte>?)null);
    }

    public async ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken = default)
    {
        StoreKey.Check(key);
        if (value.Length > _options.MaxValueBytes)
            throw new ArgumentException(
                $"value of {value.Length:N0} bytes exceeds the limit of {_options.MaxValueBytes:N0}; raise MaxValueBytes", nameof(value));
        ReadOnlyMemory<byte> json = StoredJson.FromValue(value);
        await ChangeAsync(now => now.With(key, json), cancellationToken).ConfigureAwait(false);
    }

    public ValueTask<bool> DeleteAsync(string key, CancellationToken cancellationToken = default)
    {
        StoreKey.Check(key);
        return ChangeAsync(now => now.Without(key), cancellationToken);
    }

    public ValueTask<IReadOnlyList<string>> ListAsync(string pattern = "*", CancellationToken cancellationToken = default)
    {
        var keys = new KeyPattern(pattern);
        ObjectDisposedException.ThrowIf(_closed, this);
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<IReadOnlyList<string>>(cancellationToken);
        return new([.. _file.Read().Keys.Where(key => keys.Matches(key) && StoreKey.IsValid(key, out _))]);
    }

    public ValueTask<IStoreWatch> WatchAsync(string pattern = "*", bool snapshot = false, CancellationToken cancellationToken = default)
    {
        var keys = new KeyPattern(pattern);
        ObjectDisposedException.ThrowIf(_closed, this);
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled<IStoreWatch>(cancellationToken);
        return new(new StoreWatch(new StoreFile(_directory, Name, _options), keys, snapshot, _options));
    }

    public async ValueTask DisposeAsync()
    {
        if (_closed) return;
        _closed = true;
        // Behind the changes in flight.
        await _writing.WaitAsync().ConfigureAwait(false);
        _lock.Dispose();
        _file.Dispose();
        _writing.Release();
    }

    /// <summary>Changes the store.</summary>
    /// <param name="change">Makes what it will hold of what it holds; null for no change.</param>
    /// <param name="cancellationToken">Gives up waiting for the lock.</param>
    /// <returns>Whether it was changed.</returns>
    private async ValueTask<bool> ChangeAsync(Func<StoreObject, StoreObject?> change, CancellationToken cancellationToken)
    {
        await _writing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            ObjectDisposedException.ThrowIf(_closed, this);
            RootDirectory.Ensure(_directory);
            await _lock.AcquireAsync(_options.LockTimeout, cancellationToken).ConfigureAwait(false);
            try
            {
                if (change(_file.Read()) is not { } next) return false;
                _file.Replace(next);
                return true;
            }
            finally
            {
                _lock.Release();
            }
        }
        finally
        {
            _writing.Release();
        }
    }
}
