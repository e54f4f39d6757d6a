using System.Globalization;
using Otto.Ipc;

namespace Otto.Queue.Redis;

// The signs of life: says that this worker is there, renews what it holds, takes over what others let lie,
// and learns who else works and what the queue holds.

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
    private readonly CancellationTokenSource _stop = new();
    private readonly RedisContents _contents;
    private readonly Task _beating;
    private volatile TaskCompletionSource _now = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile int _others;
    private long _nextWarning;
    private int _counted;
    private volatile StrongCounts _counts = new(default);

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
                _consumer.Handled, (long)_options.DeadLetterRetention.TotalMilliseconds, _options.MostDeadLetters, RedisContents.NewName(),
                .. some.Select(static e => e.Id),
            ];
            RedisReply[] items = (await _client.RunAsync(RedisScripts.Pulse, _keys.All, arguments).ConfigureAwait(false)).Items;
            _others = (int)items[0].Number;
            Note(CountsOf(items.AsSpan(1), _options.Capacity));
            _contents.Note(items[CountItems + 1].Text, held.Count);
            foreach (HeldEntry entry in some) entry.RenewedAt = now;
            if (items.Length <= CountItems + 2) continue;
            HashSet<string> lost = [.. items.Skip(CountItems + 2).Select(static i => i.Text)];
            _leases.Lose(some.Where(e => lost.Contains(e.Id)));
        }
    }

    /// <summary>Takes in what the server said the queue holds.</summary>
    internal void Note(WorkQueueCounts counts)
    {
        long dropped = counts.DroppedDeadLetters - LastCounts.DroppedDeadLetters;
        bool first = Interlocked.Exchange(ref _counted, 1) == 0;
        _counts = new(counts);
        if (!first && dropped > 0 && Environment.TickCount64 >= _nextWarning)
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
