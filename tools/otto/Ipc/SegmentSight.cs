using Otto.Ipc.Mmap.Inspection;

namespace Otto.Tools.Ipc;

// A segment as a command shows it: the second of two looks, and what lies between them.

internal sealed record SegmentSight(SegmentReport Report, SegmentRates? Rates)
{
    public static List<SegmentSight> Look(Func<IReadOnlyList<SegmentReport>> look, TimeSpan interval)
    {
        IReadOnlyList<SegmentReport> first = look();
        if (interval == TimeSpan.Zero || first.Count == 0) return [.. first.Select(report => new SegmentSight(report, null))];
        Thread.Sleep(interval);
        var before = first.ToDictionary(report => report.Path);
        return [.. look().Select(report => new SegmentSight(report, before.TryGetValue(report.Path, out SegmentReport? earlier) ? report.RatesSince(earlier) : null))];
    }
}
