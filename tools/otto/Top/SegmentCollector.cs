using System.Globalization;
using Otto.Ipc;
using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Inspection;
using Otto.Queue;

namespace Otto.Tools.Top;

// The queues in shared memory: counted from outside, so that a look takes no part; heard over their topics, where a worker has made one.

internal sealed class SegmentCollector(string? directory, ProgressBoard board) : IAsyncDisposable
{
    private readonly MmapTransport _transport = new(new MmapTransportOptions { Directory = directory });
    private readonly MmapInspector _inspector = new(new MmapTransportOptions { Directory = directory });
    private readonly Dictionary<string, MessageSubscriber> _subscribers = [];
    private Dictionary<string, SegmentReport> _before = [];
    private int _refreshes;

    private const string Route = "SharedMemory";

    public IEnumerable<QueueRow> Look(string? only)
    {
        _refreshes++;
        IReadOnlyList<SegmentReport> reports = _inspector.List();
        List<QueueRow> sights = [];
        Dictionary<string, SegmentReport> now = [];
        HashSet<string> topics =
            [.. reports.Where(static r => r.Kind == SegmentKind.Topic && r.Condition == SegmentCondition.Ready).Select(static r => r.Name)];
        foreach (SegmentReport report in reports)
        {
            if (report.Kind != SegmentKind.Queue || (only is not null && report.Name != only)) continue;
            now[report.Path] = report;
            if (report.Contents is not QueueContents depth)
            {
                sights.Add(new QueueRow(report.Name, Route, report.Problem ?? report.Condition.ToString(), 0, 0, 0, 0, 0, 0, null, null));
                continue;
            }

            SegmentRates? rates = _before.TryGetValue(report.Path, out SegmentReport? earlier) ? report.RatesSince(earlier) : null;
            sights.Add(new QueueRow(
                report.Name, Route, null,
                report.Participants.Count(static p => p.Alive && p.Role.Contains("takes work", StringComparison.Ordinal)), depth.Ready,
                depth.Leased, depth.Delayed, depth.Dead,
                Math.Round(depth.OldestReadyAge.TotalSeconds, 3), rates?.InPerSecond, rates?.OutPerSecond));
            if (topics.Contains(report.Name)) Hear(report.Name);
        }

        _before = now;
        return sights;
    }

    private void Hear(string queue)
    {
        try
        {
            // Old news only of what was not there before.
            if (!_subscribers.TryGetValue(queue, out MessageSubscriber? subscriber))
                _subscribers.Add(queue, subscriber =
                    _transport.OpenSubscriber(queue, startAt: _refreshes > 1 ? StartPosition.Oldest : StartPosition.Now));
            while (subscriber.TryReceive(out TopicFrame message))
                if (TaskEvent.TryReadProgress(message.Bytes, out TaskProgress progress)) board.Note(progress, queue, Route);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or ArgumentException)
        {
            // The topic ended, or somebody else's lies there: progress is a help, and the next look tries again.
            if (_subscribers.Remove(queue, out MessageSubscriber? gone)) gone.Dispose();
            board.Complain(string.Create(CultureInfo.InvariantCulture, $"progress of '{queue}': {e.Message}"));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (MessageSubscriber subscriber in _subscribers.Values) subscriber.Dispose();
        await _transport.DisposeAsync();
    }
}
