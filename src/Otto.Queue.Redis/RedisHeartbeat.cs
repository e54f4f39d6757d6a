using System.Globalization;
using Otto.Ipc;

namespace Otto.Queue.Redis;

// The signs of life: says that this worker is there, renews what it holds, takes over what others let lie,
// and learns who else works and what the queue holds. Beats on HeartbeatThread, whatever handlers do to the thread pool.

internal sealed class RedisHeartbeat : IAsyncDisposable
{
    // The server's scripts unpack what they are given onto a stack; and no call should keep it from others for long.
    private const int MostRenewedAtOnce = 500;

    /// <summary>How many numbers a count has.</summary>
    internal const int CountItems = 8;

    private readonly RedisClient _client;
    private readonly QueueKeys _keys;
    private readonly RedisRouteOptions _options;
    private readonly string _worker;
    private readonly RedisLeases _leases;
    private readonly RedisConsumer _consumer;
    private readonly RedisContents _contents;
    private Task _reclaiming = Task.CompletedTask;
    private volatile int _others;
    private long _nextWarning;
    private long _nextFailure;
    private volatile Counted? _counts;

    internal RedisHeartbeat(RedisClient client, QueueKeys keys, RedisRouteOptions options, string worker, RedisLeases leases,
        RedisConsumer consumer, RedisContents contents)
    {
        _client = client;
        _keys = keys;
        _options = options;
        _worker = worker;
        _leases = leases;
        _consumer = consumer;
        _contents = contents;
    }

    /// <summary>Gets the number of other workers that were alive at the last beat; none while the server is
    /// unavailable.</summary>
    internal int OtherWorkers => _client.Error is null ? _others : 0;

    internal WorkQueueCounts LastCounts => _counts?.Value ?? default;

    /// <summary>Beats from now on.</summary>
    internal void Start() => _client.Heartbeats.Add(Beat, _options.Heartbeat);

    /// <summary>Beats at once: something has changed.</summary>
    internal void BeatNow() => _client.Heartbeats.BeatNow(Beat);

    /// <summary>The first beat, by the client's own connection.</summary>
    internal async Task BeatAsync()
    {
        foreach ((List<HeldEntry> held, object[] arguments) in Batches())
            Apply(held, await _client.RunAsync(RedisScripts.Pulse, _keys.All, arguments).ConfigureAwait(false));
    }

    /// <summary>One beat, on the thread that calls.</summary>
    private void Beat(DirectConnections connections)
    {
        try
        {
            foreach ((List<HeldEntry> held, object[] arguments) in Batches()) Apply(held, Run(RedisScripts.Pulse, _keys.All, arguments));
            // Others may have a place for what waits here. It is given back: what lapses would look like the death of its worker.
            if (_others > 0) _leases.ReturnWaiting((long)_options.LeaseTime.TotalMilliseconds / 2, Run);
        }
        catch (RedisUnavailableException)
        {
            // Trouble is seen by whoever sends or takes; the next beat tries again.
        }
#pragma warning disable CA1031 // A reply that makes no sense must not end the process; the next beat tries again.
        catch (Exception e)
#pragma warning restore CA1031
        {
            WarnOfFailure(e);
        }

        if (_client.IsCheckDue) _ = _client.CheckServersAsync(_options, again: true);
        if (_reclaiming.IsCompleted) _reclaiming = Task.Run(ReclaimAsync);

        RedisReply Run(RedisScript script, string[] keys, object[] arguments)
            => (_client.IsReadOnly ? null : connections.Run(script, keys, arguments))
            ?? _client.RunAsync(script, keys, arguments).GetAwaiter().GetResult();
    }

    private IEnumerable<(List<HeldEntry> Held, object[] Arguments)> Batches()
    {
        List<HeldEntry> held = _leases.Snapshot();
        for (int from = 0; from == 0 || from < held.Count; from += MostRenewedAtOnce)
        {
            List<HeldEntry> some = held.GetRange(from, Math.Min(MostRenewedAtOnce, held.Count - from));
            object[] arguments =
            [
                _keys.Events, _worker, _consumer.Takes ? "1" : "0", (long)(_options.Heartbeat * 3).TotalMilliseconds,
                _consumer.Handled, _options.DeadLetterMilliseconds, _options.MostDeadLetters, RedisContents.NewName(),
                _consumer.IsTaking || !_reclaiming.IsCompleted ? "1" : "0", .. some.Select(static e => e.Id),
            ];
            yield return (some, arguments);
        }
    }

    private void Apply(List<HeldEntry> held, RedisReply reply)
    {
        RedisReply[] items = reply.Items;
        _others = (int)items[0].Number;
        Note(CountsOf(items.AsSpan(1), _options.Capacity));
        _contents.Note(items[CountItems + 1].Text, held.Count);
        long now = Environment.TickCount64;
        foreach (HeldEntry entry in held) entry.RenewedAt = now;
        if (items.Length <= CountItems + 2) return;
        HashSet<string> lost = [.. items.Skip(CountItems + 2).Select(static i => i.Text)];
        _leases.Lose(held.Where(e => lost.Contains(e.Id)));
    }

    private async Task ReclaimAsync()
    {
        try
        {
            await _consumer.ReclaimAsync().ConfigureAwait(false);
        }
        catch (RedisUnavailableException)
        {
            // As with a beat.
        }
#pragma warning disable CA1031 // As with a beat.
        catch (Exception e)
#pragma warning restore CA1031
        {
            WarnOfFailure(e);
        }
    }

    private void WarnOfFailure(Exception e)
    {
        long now = Environment.TickCount64;
        if (now < Interlocked.Read(ref _nextFailure)) return;
        Interlocked.Exchange(ref _nextFailure, now + 60_000);
        _contents.Warn($"the heartbeat failed, and tries again: {e.Message}");
    }

    /// <summary>Takes in what the server said the queue holds.</summary>
    internal void Note(WorkQueueCounts counts)
    {
        if (Interlocked.Exchange(ref _counts, new Counted(counts)) is not { } before) return;
        long dropped = counts.DroppedDeadLetters - before.Value.DroppedDeadLetters;
        if (dropped > 0 && Environment.TickCount64 >= _nextWarning)
        {
            _nextWarning = Environment.TickCount64 + 60_000;
            _contents.Warn(string.Create(CultureInfo.InvariantCulture, $"{dropped:N0} dead letters were dropped, the oldest first: "
                + $"more than {_options.MostDeadLetters:N0} (MaxDeadLetters), or older than {_options.DeadLetterRetention} "
                + $"(DeadLetterRetention)"));
        }
    }

    /// <summary>Counts as the scripts give them (<see cref="RedisScriptParts.Counts"/>).</summary>
    internal static WorkQueueCounts CountsOf(ReadOnlySpan<RedisReply> items, long capacity)
    {
        long[] numbers = new long[CountItems];
        for (int i = 0; i < numbers.Length; i++) numbers[i] = items[i].Number;
        return CountsOf(numbers, capacity);
    }

    internal static WorkQueueCounts CountsOf(long[] items, long capacity)
    {
        (long ready, long leased, long delayed, long dead, long passedOver) = (items[0], items[1], items[2], items[3], items[5]);
        return new WorkQueueCounts(Int(ready), Int(leased), Int(dead), Int(capacity - ready - leased - delayed - dead - passedOver),
            TimeSpan.Zero)
        {
            Delayed = Int(delayed), Results = Int(items[4]), PassedOver = Int(passedOver), DroppedDeadLetters = items[6],
            DroppedResults = items[7],
        };
    }

    private static int Int(long count) => (int)Math.Clamp(count, 0, int.MaxValue);

    public async ValueTask DisposeAsync()
    {
        await _client.Heartbeats.RemoveAsync(Beat).ConfigureAwait(false);
        await _reclaiming.ConfigureAwait(false);
    }

    private sealed record Counted(WorkQueueCounts Value);
}
