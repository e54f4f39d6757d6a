using System.Diagnostics;
using Otto.Ipc;
using Otto.Queue;
using Otto.Queue.Redis;

namespace Otto.Tools.Top;

// The queues on a server: found by their keys now and then, counted each time, heard over their channels.

internal sealed class RedisCollector(string server, string prefix, ProgressBoard board) : IAsyncDisposable
{
    private const int FindEvery = 10;

    private readonly Dictionary<string, (long At, WorkQueueCounts Counts)> _before = [];
    private TaskQueue? _queues;
    private CancellationTokenSource _stop = new();
    private string[] _names = [];
    private int _refreshes;

    private const string Route = "Redis";

    public async Task<IEnumerable<QueueRow>> LookAsync(string? only, CancellationToken cancellationToken)
    {
        if (_refreshes++ % FindEvery == 0 || _names.Length == 0)
        {
            try
            {
                IReadOnlyList<string> names = only is null ? await RedisQueues.ListAsync(server, prefix, cancellationToken) : [only];
                if (!names.SequenceEqual(_names)) await WatchAsync([.. names]);
            }
            catch (RedisUnavailableException e)
            {
                if (_names.Length == 0) return [new QueueRow(only ?? "", Route, e.Message, 0, 0, 0, 0, 0, 0, null, null)];
            }
        }

        List<QueueRow> sights = [];
        foreach (string name in _names)
        {
            RouteStatus status = (await _queues!.ExplainRouteAsync(name, null, cancellationToken)).Routes[^1];
            sights.Add(Of(name, status));
        }

        return sights;
    }

    private QueueRow Of(string name, RouteStatus status)
    {
        if (status.Counts is not { } counts) return new QueueRow(name, Route, status.Error ?? "not known", 0, 0, 0, 0, 0, 0, null, null);
        double? entered = null, left = null;
        long now = Stopwatch.GetTimestamp();
        if (_before.TryGetValue(name, out (long At, WorkQueueCounts Counts) before)
            && counts.TotalIn - before.Counts.TotalIn is >= 0 and var came)
        {
            double seconds = Stopwatch.GetElapsedTime(before.At, now).TotalSeconds;
            entered = came / seconds;
            left = Math.Max(0, came - (counts.Ready + counts.Leased) + before.Counts.Ready + before.Counts.Leased) / seconds;
        }

        _before[name] = (now, counts);
        return new QueueRow(name, Route, null, status.Workers, counts.Ready, counts.Leased, counts.Delayed, counts.Dead,
            Math.Round(counts.OldestReadyAge.TotalSeconds, 3), entered, left);
    }

    private async Task WatchAsync(string[] names)
    {
        await DisposeAsync();
        _stop = new CancellationTokenSource();
        _names = names;
        _queues = null;
        if (names.Length == 0) return;
        TaskQueueOptions options =
            new TaskQueueOptions().UseInProcess(static o => o.Enabled = false).UseSharedMemory(static o => o.Enabled = false).UseRedis(
                server, redis => redis.Prefix = prefix);
        foreach (string name in names) options.AddProducer<ReadOnlyMemory<byte>>(name);
        _queues = new TaskQueue(options);
        foreach (string name in names) _ = ReceiveAsync(_queues, name, _stop.Token);
    }

    private async Task ReceiveAsync(TaskQueue queues, string name, CancellationToken stop)
    {
        try
        {
            await foreach (TaskProgress progress in queues.ProgressAsync(name, stop)) board.Note(progress, name, Route);
        }
        catch (Exception e) when (e is OperationCanceledException or IOException or ObjectDisposedException)
        {
            // Ended, or the server is away: counts say so.
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _stop.Dispose();
        if (_queues is { } queues) await queues.DisposeAsync();
    }
}
