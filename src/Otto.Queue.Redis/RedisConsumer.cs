using Otto.Ipc;

namespace Otto.Queue.Redis;

// Consuming: reads as many as can be started now until there are none, then sleeps until it is nudged, a
// delayed task is due, or a slow poll comes round.

internal sealed class RedisConsumer(RedisClient client, QueueKeys keys, RedisRouteOptions options, string worker, RedisLeases leases)
{
    private const int MostMadeReady = 256;

    private static readonly TimeSpan RetryPause = TimeSpan.FromMilliseconds(500);

    private readonly long _freshMilliseconds = (long)options.LeaseTime.TotalMilliseconds / 2;
    private readonly ServerChannel _nudge = keys.WakeUp("");
    private readonly Lock _lock = new();
    private readonly Queue<(HeldEntry Entry, WorkLease Lease)> _taken = new();
    private volatile TaskCompletionSource _nudged = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ITaskConsumer? _for;
    private Task<TimeSpan>? _taking;
    private volatile bool _takesOverNext;
    private string _cursor = "0-0";

    /// <summary>Gets the number of entries here that no worker has leased yet.</summary>
    private int AtHand
    {
        get
        {
            lock (_lock) return _taken.Count;
        }
    }

    internal bool Takes => _for is not null;

    /// <summary>Gets or sets the names of the tasks that are handled here, one a line.</summary>
    internal string Handled { get; set; } = "";

    /// <summary>Whether entries may be on their way here.</summary>
    internal bool IsTaking => Volatile.Read(ref _taking) is { IsCompleted: false };

    internal void Start(ITaskConsumer consumer)
    {
        leases.Taker = consumer;
        _for = consumer;
    }

    internal void Stop()
    {
        _for = null;
        ReleaseTaken();
    }

    /// <summary>Completes when no entries can be on their way here any more.</summary>
    internal async Task EndAsync()
    {
        if (Volatile.Read(ref _taking) is { } taking) await ((Task)taking).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    /// <summary>Looks now: something may have come.</summary>
    internal void Nudge() => _nudged.TrySetResult();

    internal bool TryLease(out WorkLease lease)
    {
        while (true)
        {
            (HeldEntry Entry, WorkLease Lease) next;
            bool last;
            lock (_lock)
            {
                if (!_taken.TryDequeue(out next)) break;
                last = _taken.Count == 0;
            }

            // The next ones may come while these are worked on, if there are places for them.
            if (last && _for is { AvailableWorkers: > 1 }) _ = TakeOnceAsync();

            // What lay here for long without being renewed, because the workers had other things to do, may
            // be somebody else's soon: rather not begun.
            if (Environment.TickCount64 - next.Entry.RenewedAt > _freshMilliseconds) next.Lease.Abandon(countAttempt: false);
            else if (leases.TryBegin(next.Entry))
            {
                lease = next.Lease;
                return true;
            }
        }

        lease = default;
        return false;
    }

    internal async Task WaitAsync(CancellationToken cancellationToken)
    {
        while (AtHand == 0)
        {
            cancellationToken.ThrowIfCancellationRequested();
            TaskCompletionSource nudged = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _nudged = nudged; // Before the look: a nudge that comes after the server found nothing is for this sleep.
            TimeSpan sleep;
            try
            {
                // What was on its way before may have found nothing before our nudge was there to be heard:
                // only our own look sends us to sleep.
                Task<TimeSpan>? before = Volatile.Read(ref _taking);
                if (before is { IsCompleted: false }
                    && await before.WaitAsync(cancellationToken).ConfigureAwait(false) >= TimeSpan.Zero && AtHand > 0) return;
                sleep = await TakeOnceAsync().WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (RedisUnavailableException e) when (!e.Refused)
            {
                await client.WaitForChangeAsync(RetryPause, cancellationToken).ConfigureAwait(false);
                continue;
            }

            if (sleep > TimeSpan.Zero)
                await nudged.Task.WaitAsync(sleep, cancellationToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Takes over what dead workers held. It does so at once if there is a free place; otherwise, before the
    /// next poll for ready tasks, so that a worker that is never idle does it too.</summary>
    internal async Task ReclaimAsync()
    {
        if (_for is not { } consumer) return;
        if (consumer.AvailableWorkers > 0 && AtHand == 0) await TakeOverAsync(consumer).ConfigureAwait(false);
        else _takesOverNext = true;
    }

    private async Task TakeOverAsync(ITaskConsumer consumer)
    {
        _takesOverNext = false;
        RedisReply[] items = (await client.RunAsync(RedisScripts.Reclaim,
            keys.All,
            [worker, (long)options.LeaseTime.TotalMilliseconds, _cursor, Math.Max(1, consumer.AvailableWorkers)]).ConfigureAwait(
                false)).Items;
        if (items.Length == 0) return;
        _cursor = items[0].Text;
        List<HeldEntry> found = HeldEntry.ReadReclaimed(items);
        // A dead worker may have held more than there were places for: the next look begins with the rest, instead of the next heartbeat.
        if (found.Count > 0 && _cursor != "0-0") _takesOverNext = true;
        Add(found);
        if (AtHand > 0) Nudge();
    }

    private Task<TimeSpan> TakeOnceAsync()
    {
        lock (_lock) return _taking is { IsCompleted: false } taking ? taking : _taking = TakeAsync();
    }

    // How long to sleep; zero where something came.
    private async Task<TimeSpan> TakeAsync()
    {
        if (_for is not { } consumer) return options.PollInterval;
        if (_takesOverNext)
        {
            await TakeOverAsync(consumer).ConfigureAwait(false);
            if (AtHand > 0) return TimeSpan.Zero;
        }

        RedisReply[] items =
            (await client.RunAsync(RedisScripts.Take, keys.All,
                [_nudge, worker, Math.Max(1, consumer.AvailableWorkers), MostMadeReady, Handled])
            .ConfigureAwait(false)).Items;
        if (items.Length != 1)
        {
            Add(HeldEntry.ReadTaken(items));
            return TimeSpan.Zero;
        }

        long due = items[0].Number;
        return due < 0 || due > options.PollInterval.TotalMilliseconds ? options.PollInterval
            : TimeSpan.FromMilliseconds(due) + leases.Yields;
    }

    private void Add(List<HeldEntry> entries)
    {
        lock (_lock)
            foreach (HeldEntry entry in entries) _taken.Enqueue((entry, leases.Hold(entry)));
        if (_for is null) ReleaseTaken();
    }

    private void ReleaseTaken()
    {
        lock (_lock)
            while (_taken.TryDequeue(out (HeldEntry Entry, WorkLease Lease) next)) next.Lease.Abandon(countAttempt: false);
    }
}
