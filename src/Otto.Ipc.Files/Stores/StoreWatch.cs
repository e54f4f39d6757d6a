using Otto.Ipc.Files.Watching;

namespace Otto.Ipc.Files.Stores;

// News of a store is the difference between what was told and what is there. So a slow listener costs nothing and is told the newest values,
// and nothing can be lost between two looks, whatever the kernel said or failed to say.

internal sealed class StoreWatch : IStoreWatch, IAwaited
{
    private readonly StoreFile _file;
    private readonly KeyPattern _pattern;
    private readonly ChangeWaiter _waiter;
    private readonly Queue<StoreChange> _news = new();
    private StoreObject _told;
    private int _enumerated;
    private volatile bool _closed;

    public StoreWatch(StoreFile file, KeyPattern pattern, bool snapshot, FilesTransportOptions options)
    {
        _file = file;
        _pattern = pattern;
        _told = snapshot ? StoreObject.Empty : file.Read();
        _waiter = new ChangeWaiter(options);
    }

    IEnumerable<string> IAwaited.Places => [_file.Place];

    TimeSpan IAwaited.LookAgainIn => ChangeWaiter.LongestSleep;

    public async IAsyncEnumerator<StoreChange> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _enumerated, 1) != 0) throw new InvalidOperationException("a watch is enumerated once; ask for another");
        while (true)
        {
            while (_news.TryDequeue(out StoreChange change)) yield return change;
            if (!await _waiter.WaitAsync(this, cancellationToken).ConfigureAwait(false)) yield break;
        }
    }

    public ValueTask DisposeAsync()
    {
        if (_closed) return default;
        _closed = true;
        _waiter.Ring();
        _waiter.Dispose();
        _file.Dispose();
        return default;
    }

    /// <summary>Whether there is news; false once the watch was disposed.</summary>
    bool? IAwaited.Look()
    {
        if (_closed) return false;
        try
        {
            StoreObject now = _file.Read();
            if (!ReferenceEquals(now, _told)) Compare(now);
        }
        catch (ObjectDisposedException)
        {
            return false;
        }

        return _news.Count > 0 ? true : null;
    }

    private void Compare(StoreObject now)
    {
        int told = 0, found = 0;
        // Both lists are in ordinal order.
        while (told < _told.Keys.Count || found < now.Keys.Count)
        {
            int order = told == _told.Keys.Count ? 1 : found == now.Keys.Count ? -1 : string.CompareOrdinal(_told.Keys[told], now.Keys[found]);
            string key = order < 0 ? _told.Keys[told] : now.Keys[found];
            if (order <= 0) told++;
            if (order >= 0) found++;
            if (!_pattern.Matches(key) || !StoreKey.IsValid(key, out _)) continue;
            if (order < 0) _news.Enqueue(new StoreChange(StoreChangeKind.Deleted, key, default));
            else if (order > 0 || !now.Find(key)!.Value.Span.SequenceEqual(_told.Find(key)!.Value.Span))
                _news.Enqueue(new StoreChange(StoreChangeKind.Set, key, StoredJson.ToValue(now.Find(key)!.Value)));
        }

        _told = now;
    }
}
