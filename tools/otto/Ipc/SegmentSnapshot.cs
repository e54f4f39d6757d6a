using Otto.Ipc.Mmap.Inspection;

namespace Otto.Tools.Ipc;

// A segment as a command shows it: the second of two looks, and what lies between them.

internal sealed record SegmentSnapshot(SegmentReport Report, SegmentRates? Rates)
{
    public static List<SegmentSnapshot> Look(Func<IReadOnlyList<SegmentReport>> look, TimeSpan interval)
    {
        IReadOnlyList<SegmentReport> first = look();
        if (interval == TimeSpan.Zero || first.Count == 0) return [.. first.Select(report => new SegmentSnapshot(report, null))];
        Thread.Sleep(interval);
        var before = first.ToDictionary(report => report.Path);
        return [.. look().Select(
            report => new SegmentSnapshot(report,
                before.TryGetValue(report.Path, out SegmentReport? earlier) ? report.RatesSince(earlier) : null))];
    }
}
