using Otto.Ipc.Files.Watching;

namespace Otto.Ipc.Files.Stores;

// The changes of a store are the difference between what was reported and what is there. So a slow listener costs nothing and receives the
// newest values, and nothing can be lost between two polls, whatever the kernel reported.

internal sealed class StoreWatch : IStoreWatch, IWaitCondition
{
    private readonly StoreFile _file;
    private readonly KeyPattern _pattern;
    private readonly ChangeWaiter _waiter;
    private readonly Queue<StoreChange> _changes = new();
    private StoreObject _reported;
    private int _enumerated;
    private volatile bool _closed;

    public StoreWatch(StoreFile file, KeyPattern pattern, bool snapshot, FilesTransportOptions options)
    {
        _file = file;
        _pattern = pattern;
        _reported = snapshot ? StoreObject.Empty : file.Read();
        _waiter = new ChangeWaiter(options);
    }

    IEnumerable<string> IWaitCondition.Directories => [_file.Folder];

    TimeSpan IWaitCondition.NextPollIn => ChangeWaiter.LongestSleep;

    public async IAsyncEnumerator<StoreChange> GetAsyncEnumerator(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _enumerated, 1) != 0)
            throw new InvalidOperationException("a watch can be enumerated only once; open another one");
        while (true)
        {
            while (_changes.TryDequeue(out StoreChange change)) yield return change;
            if (!await _waiter.WaitAsync(this, cancellationToken).ConfigureAwait(false)) yield break;
        }
    }

    public ValueTask DisposeAsync()
    {
        if (_closed) return default;
        _closed = true;
        _waiter.Wake();
        _waiter.Dispose();
        _file.Dispose();
        return default;
    }

    /// <summary>Whether there are changes; false once the watch was disposed.</summary>
    bool? IWaitCondition.Poll()
    {
        if (_closed) return false;
        try
        {
            StoreObject now = _file.Read();
            if (!ReferenceEquals(now, _reported)) Compare(now);
        }
        catch (ObjectDisposedException)
        {
            return false;
        }

        return _changes.Count > 0 ? true : null;
    }

    private void Compare(StoreObject now)
    {
        int reported = 0, found = 0;
        // Both lists are in ordinal order.
        while (reported < _reported.Keys.Count || found < now.Keys.Count)
        {
            int order = reported == _reported.Keys.Count ? 1
                : found == now.Keys.Count ? -1 : string.CompareOrdinal(_reported.Keys[reported], now.Keys[found]);
            string key = order < 0 ? _reported.Keys[reported] : now.Keys[found];
            if (order <= 0) reported++;
            if (order >= 0) found++;
            if (!_pattern.Matches(key) || !StoreKey.IsValid(key, out _)) continue;
            if (order < 0) _changes.Enqueue(new StoreChange(StoreChangeKind.Deleted, key, default));
            else if (order > 0 || !now.Find(key)!.Value.Span.SequenceEqual(_reported.Find(key)!.Value.Span))
                _changes.Enqueue(new StoreChange(StoreChangeKind.Set, key, StoredJson.ToValue(now.Find(key)!.Value)));
        }

        _reported = now;
    }
}
