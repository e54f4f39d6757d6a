using System.Globalization;
using Otto.Ipc;
using Otto.Ipc.Transports;

namespace Otto.Queue.Redis;

// What this worker holds, and how each lease ends: at once here, and in batches at the server, each entry only if it is still ours there.

internal sealed class RedisLeases(RedisClient client, QueueKeys keys, RedisRouteOptions options, string worker, RedisContents contents,
    CancellationToken closing) : IWorkLeaseOwner
{
    /// <summary>The largest result that is kept.</summary>
    internal const int MaxResultBytes = 64 << 20;

    private static readonly TimeSpan OthersFirst = TimeSpan.FromMilliseconds(250);

    private const int MostInBatch = 128;
    private const int MostBytesInBatch = 1 << 20;

    private static readonly TimeSpan BatchPause = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(200);

    private readonly Lock _lock = new();
    private readonly List<HeldEntry?> _places = [];
    private readonly Stack<int> _free = new();
    private readonly List<Settlement> _settlements = [];
    private TaskCompletionSource _settled = Completed();
    private TaskCompletionSource? _hurry;
    private bool _settling;
    private long _uses;
    private long _offersUntil;
    private int _count;

    internal ITaskConsumer? Taker { get; set; }

    /// <summary>How many entries are held.</summary>
    internal int Count => Volatile.Read(ref _count);

    /// <summary>Takes an entry in, as a lease; renewed once it is <see cref="TryBegin"/>.</summary>
    internal WorkLease Hold(HeldEntry entry)
    {
        lock (_lock)
        {
            if (!_free.TryPop(out int place))
            {
                place = _places.Count;
                _places.Add(null);
            }

            _places[place] = entry;
            entry.Place = place;
            entry.Use = ++_uses;
            entry.Generation = contents.Generation;
            _count++;
            return new WorkLease(this, new SlotToken(entry.Use, place), entry.Message, entry.AttemptsMade + 1);
        }
    }

    /// <summary>Notes that a worker begins with an entry.</summary>
    /// <returns><see langword="true"/> if the entry is still held; otherwise, <see langword="false"/>.</returns>
    internal bool TryBegin(HeldEntry entry)
    {
        lock (_lock) return ReferenceEquals(_places[entry.Place], entry) && (entry.Begun = true);
    }

    /// <summary>Gets what is held.</summary>
    internal List<HeldEntry> Snapshot()
    {
        lock (_lock) return [.. _places.OfType<HeldEntry>().Where(e => !IsOrphan(e))];
    }

    /// <summary>Gives entries back, uncounted, that no worker has begun with for a time.</summary>
    internal void ReturnWaiting(long milliseconds, Func<RedisScript, string[], object[], RedisReply> run)
    {
        List<Settlement> waiting = [];
        lock (_lock)
            foreach (HeldEntry? entry in _places.ToArray())
                if (entry is { Begun: false } && Environment.TickCount64 - entry.ArrivedAt > milliseconds)
                {
                    TryRemove(new SlotToken(entry.Use, entry.Place));
                    waiting.Add(new Settlement(entry, 's', 0, Text(entry.AttemptsBefore)));
                }

        foreach (Settlement[] batch in waiting.Chunk(MostInBatch)) run(RedisScripts.Settle, keys.All, Arguments(batch));
    }

    /// <summary>Notes that the server has given entries to another worker: what their handlers do is done
    /// twice.</summary>
    internal void Lose(IEnumerable<HeldEntry> entries)
    {
        foreach (HeldEntry entry in entries.Where(e => !IsOrphan(e)))
            if (TryRemove(new SlotToken(entry.Use, entry.Place)) is not null) Taker?.OnLeaseLost(entry.TaskId);
    }

    /// <summary>
    /// Whether an entry is of earlier contents of the server, which are lost: no other worker has it.
    /// </summary>
    private bool IsOrphan(HeldEntry entry) => entry.Generation != contents.Generation;

    public bool Complete(in SlotToken token)
    {
        if (TryRemove(token) is not { } entry) return false;
        Settle(new Settlement(entry, entry.Key.Length == 0 ? 'c' : 'k', 0, ""), hurry: false);
        return true;
    }

    public bool Complete(in SlotToken token, ReadOnlySpan<byte> result)
    {
        if (result.Length > MaxResultBytes)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture,
                $"a result of {result.Length:N0} bytes exceeds the limit of {MaxResultBytes:N0}"), nameof(result));
        if (TryRemove(token) is not { } entry) return false;
        // A producer waits for it, so it does not wait for others.
        Settle(new Settlement(entry, 'w', 0, result.ToArray()), hurry: true);
        return true;
    }

    /// <summary>Leaves an entry to workers that handle its name.</summary>
    internal bool PassOver(WorkLease lease, string name)
    {
        if (!lease.TryGetToken(this, out SlotToken token) || TryRemove(token) is not { } entry) return false;
        Settle(new Settlement(entry, 'p', 0, name), hurry: true);
        return true;
    }

    public bool Abandon(in SlotToken token, bool countAttempt, TimeSpan delay)
    {
        if (countAttempt) return Release(token, 'r', delay, static entry => entry.AttemptsCounted + 1);
        if (delay <= TimeSpan.Zero) return Release(token, 's', delay, static entry => entry.AttemptsBefore);
        // Any thread may store here; a shorter time that stays costs the others one chance.
        Volatile.Write(ref _offersUntil, Environment.TickCount64 + (long)(delay + OthersFirst).TotalMilliseconds);
        return Release(token, 'r', delay, static entry => entry.AttemptsCounted);
    }

    /// <summary>How much longer this worker sleeps than until the next delayed task is due: it could not do a task and
    /// offers it, so that another worker should be the quicker one.</summary>
    internal TimeSpan Yields => Environment.TickCount64 < Volatile.Read(ref _offersUntil) ? OthersFirst : TimeSpan.Zero;

    public bool Repeat(in SlotToken token, TimeSpan delay) => Release(token, 'e', delay, static _ => 0);

    public bool IsCancelRequested(in SlotToken token) => Find(token) is { CancelRequested: true };

    public DeliveryHistory GetHistory(in SlotToken token) => Find(token)?.History ?? default;

    /// <summary>Notes at the server that this worker runs an entry with nothing beside it.</summary>
    internal async ValueTask BeginAloneAsync(WorkLease lease, CancellationToken cancellationToken)
    {
        if (!lease.TryGetToken(this, out SlotToken token) || Find(token) is not { } entry) return;
        await client.RunAsync(RedisScripts.BeginAlone, keys.All, [worker, entry.Id]).WaitAsync(cancellationToken)
            .ConfigureAwait(false);
    }

    private HeldEntry? Find(in SlotToken token)
    {
        lock (_lock) return (uint)token.Index < (uint)_places.Count && _places[token.Index] is { } entry && entry.Use == token.Word
            ? entry : null;
    }

    private bool Release(in SlotToken token, char what, TimeSpan delay, Func<HeldEntry, int> attempts)
    {
        if (delay < TimeSpan.Zero || delay > WorkQueue.MaxDelay)
            throw new ArgumentOutOfRangeException(nameof(delay), $"delay must be 0 to {WorkQueue.MaxDelay.TotalDays:N0} days: {delay}");
        if (TryRemove(token) is not { } entry) return false;
        Settle(new Settlement(entry, what, (long)Math.Ceiling(delay.TotalMilliseconds), Text(attempts(entry))), hurry: true);
        return true;
    }

    public bool DeadLetter(in SlotToken token, string reason)
    {
        if (TryRemove(token) is not { } entry) return false;
        Settle(new Settlement(entry, 'd', entry.AttemptsMade + 1, reason.Length <= 4096 ? reason : reason[..4096]), hurry: true);
        return true;
    }

    public PayloadRetention Retain(in SlotToken token, ReadOnlyMemory<byte> payload) => new(payload);

    /// <summary>Waits until everything that ended here has ended at the server, or time is up.</summary>
    internal async Task FlushAsync(TimeSpan most)
    {
        Task settled;
        lock (_lock)
        {
            settled = _settled.Task;
            _hurry?.TrySetResult();
        }

        await settled.WaitAsync(most).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private HeldEntry? TryRemove(in SlotToken token)
    {
        lock (_lock)
        {
            if ((uint)token.Index >= (uint)_places.Count || _places[token.Index] is not { } entry || entry.Use != token.Word) return null;
            _places[token.Index] = null;
            _free.Push(token.Index);
            _count--;
            return entry;
        }
    }

    private void Settle(in Settlement settlement, bool hurry)
    {
        bool start;
        lock (_lock)
        {
            _settlements.Add(settlement);
            start = !_settling;
            if (start) _settled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _settling = true;
            if (start) _hurry = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (hurry || _settlements.Count >= MostInBatch) _hurry?.TrySetResult();
        }

        if (start) _ = SettleAsync();
    }

    private async Task SettleAsync()
    {
        while (true)
        {
            Task hurry;
            lock (_lock) hurry = _hurry!.Task;
            await hurry.WaitAsync(BatchPause).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            Settlement[] batch;
            lock (_lock)
            {
                if (_settlements.Count == 0)
                {
                    _settling = false;
                    _settled.TrySetResult();
                    return;
                }

                int bytes = 0;
                batch = [.. _settlements.Take(MostInBatch).TakeWhile((s, i) => (bytes += s.Bytes) <= MostBytesInBatch || i == 0)];
                _settlements.RemoveRange(0, batch.Length);
                // Whatever is left, or comes meanwhile, is a batch of its own.
                _hurry = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                if (_settlements.Count >= MostInBatch) _hurry.TrySetResult();
            }

            await SettleBatchAsync(batch).ConfigureAwait(false);
        }
    }

    private object[] Arguments(Settlement[] batch)
    {
        List<object> entries = new(batch.Length);
        foreach (Settlement settlement in batch)
        {
            entries.Add(settlement.Entry.Id);
            entries.Add(settlement.Entry.TaskIdBytes);
            if (settlement.What is 'c') continue;
            entries.Add(settlement.Entry.Key);
            entries.Add(settlement.Number);
            entries.Add(settlement.Text);
        }

        return
        [
            keys.WakeUp(""), worker, batch.MinBy(static s => s.Entry.Order).Entry.Id, batch.MaxBy(static s => s.Entry.Order).Entry.Id,
            new string([.. batch.Select(static s => s.What)]), keys.Events, options.ResultMilliseconds,
            options.MostResults, options.DeadLetterMilliseconds, options.MostDeadLetters, .. entries,
        ];
    }

    private async Task SettleBatchAsync(Settlement[] batch)
    {
        object[] arguments = Arguments(batch);
        bool again = false;
        while (true)
        {
            try
            {
                string answers = (await client.RunAsync(RedisScripts.Settle, keys.All, arguments).ConfigureAwait(false)).Text;
                // After a lost answer "not yours" may only mean that the first try had worked.
                if (again || answers.Length == batch.Length && answers.All(static a => a == '1')) return;
                // Whose is it then? Nobody's, where the server has lost it.
                await contents.CheckAsync(Count).ConfigureAwait(false);
                for (int i = 0; i < batch.Length; i++)
                    if ((i >= answers.Length || answers[i] != '1') && !IsOrphan(batch[i].Entry)) Taker?.OnLeaseLost(batch[i].Entry.TaskId);
                return;
            }
            catch (RedisUnavailableException e) when (!e.Refused && !closing.IsCancellationRequested)
            {
                again = true;
                await client.WaitForChangeAsync(RetryPause, closing).ConfigureAwait(false);
            }
            catch (RedisUnavailableException)
            {
                // Closed, or refused: the server gives these to others when their time has run out.
                return;
            }
        }
    }

    private static string Text(int attempts) => attempts.ToString(CultureInfo.InvariantCulture);

    private static TaskCompletionSource Completed()
    {
        TaskCompletionSource source = new();
        source.SetResult();
        return source;
    }

    private readonly record struct Settlement(HeldEntry Entry, char What, long Number, object Text)
    {
        /// <summary>What goes to the server with it.</summary>
        internal int Bytes => Text is byte[] bytes ? bytes.Length : 0;
    }
}
