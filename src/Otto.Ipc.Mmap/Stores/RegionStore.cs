using System.Diagnostics;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.Mmap.Stores;

// A store is a region of a name: one JSON object, which shells and other languages read as docs/layouts.md says. Reading takes no lock;
// writing takes the region's, and waits for it without holding a thread.

internal sealed class RegionStore : IKeyValueStore
{
    /// <summary>What a store's file name ends with.</summary>
    public const string FileSuffix = ".store";

    private static readonly TimeSpan LongestPause = TimeSpan.FromMilliseconds(5);
    private readonly JsonRegion _region;
    private readonly TimeSpan _lockTimeout;
    private readonly RegionChangeNotifier _changes;
    private volatile bool _disposed;
    private volatile StrongBox<(byte[] Text, Dictionary<string, ReadOnlyMemory<byte>> Values)>? _last;

    public RegionStore(ChannelName name, string path, MmapStoreOptions options)
    {
        Name = name;
        _lockTimeout = options.LockTimeout;
        // The name is the path's; the task's name only stands for it.
        _region = JsonRegion.OpenOrCreate(new RegionLocation(name) { FilePath = path }, options.ToRegion());
        _changes = new RegionChangeNotifier(_region);
    }

    public ChannelName Name { get; }

    public int? MaxValueBytes => null;

    public ValueTask<ReadOnlyMemory<byte>?> GetAsync(string key, CancellationToken cancellationToken = default)
    {
        StoreKey.Check(key);
        Enter(cancellationToken);
        return new(Values().TryGetValue(key, out ReadOnlyMemory<byte> json) ? StoredJson.ToValue(json) : default(ReadOnlyMemory<byte>?));
    }

    public async ValueTask SetAsync(string key, ReadOnlyMemory<byte> value, CancellationToken cancellationToken = default)
    {
        StoreKey.Check(key);
        Enter(cancellationToken);
        ReadOnlyMemory<byte> json = StoredJson.FromValue(value);
        await ChangeAsync(text => RegionJson.With(text, key, json.Span), cancellationToken).ConfigureAwait(false);
    }

    public ValueTask<bool> DeleteAsync(string key, CancellationToken cancellationToken = default)
    {
        StoreKey.Check(key);
        Enter(cancellationToken);
        return ChangeAsync(text => RegionJson.With(text, key, []), cancellationToken);
    }

    public ValueTask<IReadOnlyList<string>> ListAsync(string pattern = "*", CancellationToken cancellationToken = default)
    {
        var matching = new KeyPattern(pattern);
        Enter(cancellationToken);
        List<string> keys = [.. Values().Keys.Where(key => matching.Matches(key))];
        keys.Sort(StringComparer.Ordinal);
        return new(keys);
    }

    public ValueTask<IStoreWatch> WatchAsync(string pattern = "*", bool snapshot = false, CancellationToken cancellationToken = default)
    {
        var matching = new KeyPattern(pattern);
        Enter(cancellationToken);
        return new(new RegionStoreWatch(_changes, matching, snapshot));
    }

    /// <summary>Ends the watches. The file stays.</summary>
    public ValueTask DisposeAsync()
    {
        _disposed = true;
        _changes.Dispose();
        return default;
    }

    /// <summary>Every key with its value as JSON; of a repeated key the last counts, and
    /// what is no key of ours is left out.</summary>
    internal static Dictionary<string, ReadOnlyMemory<byte>> ValuesIn(byte[] text)
    {
        var values = new Dictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
        var reader = new Utf8JsonReader(text);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            string? key = RegionJson.Name(ref reader);
            reader.Read();
            int start = (int)reader.TokenStartIndex;
            reader.Skip();
            if (key is not null && StoreKey.IsValid(key, out _)) values[key] = text.AsMemory(start, (int)reader.BytesConsumed - start);
        }

        return values;
    }

    /// <summary>What the store holds now. Taken apart again only when its bytes differ from
    /// those of last time.</summary>
    private Dictionary<string, ReadOnlyMemory<byte>> Values()
    {
        (byte[] Text, Dictionary<string, ReadOnlyMemory<byte>> Values)? last = _last?.Value;
        byte[] text = _region.ReadText(last?.Text);
        if (last is { } same && ReferenceEquals(same.Text, text)) return same.Values;
        Dictionary<string, ReadOnlyMemory<byte>> values = ValuesIn(text);
        _last = new StrongBox<(byte[], Dictionary<string, ReadOnlyMemory<byte>>)>((text, values));
        return values;
    }

    private void Enter(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ObjectDisposedException.ThrowIf(_disposed, this);
    }

    private async ValueTask<bool> ChangeAsync(Func<byte[], byte[]?> change, CancellationToken cancellationToken)
    {
        bool changed;
        long start = Stopwatch.GetTimestamp();
        for (int tries = 0; !_region.TryChange(change, out changed); tries++)
        {
            if (Stopwatch.GetElapsedTime(start) >= _lockTimeout && _lockTimeout != Timeout.InfiniteTimeSpan)
                throw new TimeoutException(
                    $"the store {_region.FilePath} was locked by another for {_lockTimeout.TotalSeconds:0.###} s; nothing was written");
            // Writers are quick, so the first looks only let the others run.
            if (tries < 20) await Task.Yield();
            else await Task.Delay(tries < 25 ? TimeSpan.FromMilliseconds(1) : LongestPause, cancellationToken).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
        }

        return changed;
    }
}
