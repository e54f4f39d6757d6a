using System.Runtime.CompilerServices;

namespace Otto.Ipc.Mmap.Stores;

// A watch compares what it told last with what is there when it is asked: so it needs no queue, and who asks rarely is told the newest.

internal sealed class RegionStoreWatch : IStoreWatch
{
    private readonly RegionChangeNotifier _changes;
    private readonly KeyPattern _pattern;
    private readonly CancellationTokenSource _ended = new();
    private Dictionary<string, ReadOnlyMemory<byte>> _last;
    private int _disposed;
    private int _enumerated;

    public RegionStoreWatch(RegionChangeNotifier news, KeyPattern pattern, bool snapshot)
    {
        _changes = news;
        _pattern = pattern;
        _last = snapshot ? [] : Matching(news.Region.ReadText());
        news.Join();
    }

    public IAsyncEnumerator<StoreChange> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _enumerated, 1) != 0)
            throw new InvalidOperationException("a watch can be enumerated only once; open another one");
        return ChangesAsync(cancellationToken).GetAsyncEnumerator(cancellationToken);
    }

    public ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return default;
        _changes.Leave();
        _ended.Cancel(); // not disposed: an enumeration may be about to wait on it
        return default;
    }

    private async IAsyncEnumerable<StoreChange> ChangesAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (Volatile.Read(ref _disposed) == 0 && !_changes.IsDisposed)
        {
            cancellationToken.ThrowIfCancellationRequested();
            // Asked for before looking: a change after the look completes it.
            Task change = _changes.NextChange;
            byte[] text = _changes.Region.ReadText();
            _changes.Found(text);
            Dictionary<string, ReadOnlyMemory<byte>> now = Matching(text);
            Dictionary<string, ReadOnlyMemory<byte>> before = _last;
            _last = now;
            foreach ((string key, ReadOnlyMemory<byte> value) in now)
            {
                if (!before.TryGetValue(key, out ReadOnlyMemory<byte> old) || !old.Span.SequenceEqual(value.Span))
                    yield return new StoreChange(StoreChangeKind.Set, key, StoredJson.ToValue(value));
            }

            foreach (string key in before.Keys)
            {
                if (!now.ContainsKey(key)) yield return new StoreChange(StoreChangeKind.Deleted, key, default);
            }

            using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _ended.Token);
            await change.WaitAsync(stop.Token).ConfigureAwait(
                ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
            cancellationToken.ThrowIfCancellationRequested();
        }
    }

    private Dictionary<string, ReadOnlyMemory<byte>> Matching(byte[] text)
    {
        Dictionary<string, ReadOnlyMemory<byte>> values = RegionStore.ValuesIn(text);
        if (_pattern.MatchesAll) return values;
        foreach (string key in values.Keys.Where(key => !_pattern.Matches(key)).ToList()) values.Remove(key);
        return values;
    }
}
