using Otto.Ipc;

namespace Otto.Queue.Redis;

// The signs of life: says that this worker is there, renews what it holds, takes over what others let lie,
// and learns who else works and what the queue holds.

internal sealed class RedisHeartbeat : IAsyncDisposable
{
    // The server's scripts unpack what they are given onto a stack; and no call should keep it from others for long.
    private const int MostRenewedAtOnce = 500;

    private readonly RedisClient _client;
    private readonly QueueKeys _keys;
    private readonly RedisRouteOptions _options;
    private readonly string _worker;
    private readonly RedisLeases _leases;
    private readonly RedisConsumer _consumer;
    private readonly CancellationTokenSource _stop = new();
    private readonly string[] _scriptKeys;
    private readonly Task _beating;
    private volatile TaskCompletionSource _now = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile int _others;
    private volatile StrongCounts _counts = new(default);

    internal RedisHeartbeat(RedisClient client, QueueKeys keys, RedisRouteOptions options, string worker, RedisLeases leases,
        RedisConsumer consumer)
    {
        _client = client;
        _keys = keys;
        _options = options;
        _worker = worker;
        _leases = leases;
        _consumer = consumer;
        _scriptKeys = [keys.Stream, keys.Delayed, keys.Dead, keys.Workers];
        _beating = Task.Run(BeatForeverAsync);
    }

    /// <summary>Gets the number of other workers that were alive at the last beat; none while the server is
    /// unavailable.</summary>
    internal int OtherWorkers => _client.Error is null ? _others : 0;

    internal WorkQueueCounts LastCounts => _counts.Value;

    /// <summary>Beats at once: something has changed.</summary>
    internal void BeatNow() => _now.TrySetResult();

    /// <summary>One beat.</summary>
    internal async Task BeatAsync()
    {
        List<HeldEntry> held = _leases.Snapshot(nobodyElse: _others == 0);
        long now = Environment.TickCount64;
        for (int from = 0; from == 0 || from < held.Count; from += MostRenewedAtOnce)
        {
            List<HeldEntry> some = held.GetRange(from, Math.Min(MostRenewedAtOnce, held.Count - from));
            object[] arguments =
            [
                _keys.Events, _worker, _consumer.Takes ? "1" : "0", (long)(_options.Heartbeat * 3).TotalMilliseconds,
                .. some.Select(static e => e.Id),
            ];
            RedisReply[] items = (await _client.RunAsync(RedisScripts.Pulse, _scriptKeys, arguments).ConfigureAwait(false)).Items;
            _others = (int)items[0].Number;
            _counts = new(CountsOf(items.AsSpan(1), _options.Capacity));
            foreach (HeldEntry entry in some) entry.RenewedAt = now;
            if (items.Length <= 5) continue;
            HashSet<string> lost = [.. items.Skip(5).Select(static i => i.Text)];
            _leases.Lose(some.Where(e => lost.Contains(e.Id)));
        }
    }

    /// <summary>Counts as the scripts give them: ready, leased, delayed, dead.</summary>
    internal static WorkQueueCounts CountsOf(ReadOnlySpan<RedisReply> items, long capacity)
    {
        long ready = items[0].Number, leased = items[1].Number, delayed = items[2].Number, dead = items[3].Number;
        return new WorkQueueCounts(Int(ready), Int(leased), Int(dead), Int(capacity - ready - leased - delayed - dead),
            TimeSpan.Zero) { Delayed = Int(delayed) };
    }

    private async Task BeatForeverAsync()
    {
        while (!_stop.IsCancellationRequested)
        {
            TaskCompletionSource now = new(TaskCreationOptions.RunContinuationsAsynchronously);
            _now = now;
            try
            {
                await BeatAsync().ConfigureAwait(false);
                await _consumer.ReclaimAsync().ConfigureAwait(false);
            }
            catch (RedisUnavailableException)
            {
                // Trouble is seen by whoever sends or takes; the next beat tries again.
            }

            await now.Task.WaitAsync(_options.Heartbeat, _stop.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private static int Int(long count) => (int)Math.Clamp(count, 0, int.MaxValue);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await _beating.ConfigureAwait(false);
        _stop.Dispose();
    }

    private sealed record StrongCounts(WorkQueueCounts Value);
}
