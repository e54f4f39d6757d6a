using System.Globalization;
using Otto.Ipc.Mmap.Inspection;
using Otto.Ipc.Mmap;

namespace Otto.Tools.Ipc;

// Numbers for people: sizes, ages, rates, and what a segment holds in one line.

internal static class SegmentFormatter
{
    private static readonly string[] Units = ["B", "KiB", "MiB", "GiB", "TiB"];

    public static string Size(long bytes)
    {
        double value = bytes;
        int unit = 0;
        for (; value >= 1024 && unit < Units.Length - 1; unit++) value /= 1024;
        return string.Create(CultureInfo.InvariantCulture, $"{value:0.#} {Units[unit]}");
    }

    public static string Age(TimeSpan age) => age switch
    {
        { Ticks: <= 0 } => "-",
        { TotalSeconds: < 1 } => Invariant($"{age.TotalMilliseconds:0} ms"),
        { TotalMinutes: < 2 } => Invariant($"{age.TotalSeconds:0.0} s"),
        { TotalHours: < 2 } => Invariant($"{age.TotalMinutes:0} min"),
        { TotalDays: < 2 } => Invariant($"{age.TotalHours:0} h"),
        _ => Invariant($"{age.TotalDays:0} d"),
    };

    public static string Shape(SegmentKind kind) => kind switch
    {
        SegmentKind.Stream => "stream",
        SegmentKind.Queue => "queue",
        SegmentKind.Topic => "topic",
        SegmentKind.Pool => "pool",
        _ => "region",
    };

    public static string Condition(SegmentCondition condition) => condition switch
    {
        SegmentCondition.Ready => "ready",
        SegmentCondition.Retired => "retired",
        SegmentCondition.Stale => "stale",
        _ => "unreadable",
    };

    public static string Policy(SlowSubscriberPolicy policy) => policy switch
    {
        SlowSubscriberPolicy.Block => "block",
        SlowSubscriberPolicy.Disconnect => "disconnect",
        _ => "overwrite",
    };

    public static string Owner(uint user) => Invariant($"{user}");

    public static string Depth(SegmentContents? depth) => depth switch
    {
        StreamContents s => Invariant($"{Size(s.UnreadBytes)} unread in {s.Lanes.Count} of {s.MaxLanes} lanes of {Size(s.LaneBytes)}"),
        QueueContents q => Queue(q),
        TopicContents t => string.Create(CultureInfo.InvariantCulture,
            $"{t.Published:N0} published, {Size(t.KeptBytes)} kept in {t.LanesInUse} of {t.MaxLanes} lanes of "
            + $"{Size(t.LaneBytes)}, {Policy(t.Policy)}"),
        PoolContents p => Invariant($"{p.Lent:N0} lent, {p.Free:N0} free, {p.Files:N0} files"),
        RegionContents r => Invariant($"{Size(r.ValueBytes)} of {Size(r.LimitBytes)}, run {r.RunPid}"),
        _ => "",
    };

    public static string Rates(SegmentRates? rates) => rates switch
    {
        null => "",
        { Unit: "bytes" } => $"{Size((long)rates.InPerSecond)}/s in{(rates.OutPerSecond is { } left ? $", {Size((long)left)}/s out" : "")}",
        _ => Invariant($"{rates.InPerSecond:N1} {rates.Unit}/s{(rates.OutPerSecond is { } left ? Invariant($" in, {left:N1} out") : "")}"),
    };

    public static string Oldest(SegmentContents? depth) =>
        depth is QueueContents q ? $"ready {Age(q.OldestReadyAge)}, lease {Age(q.OldestLeaseAge)}" : "";

    private static string Queue(QueueContents q)
    {
        string text = Invariant($"{q.Ready:N0} ready, {q.Leased:N0} leased, {q.Dead:N0} dead");
        if (q.Delayed > 0) text += Invariant($", {q.Delayed:N0} delayed");
        return text + Invariant($", {q.Free:N0} of {q.Slots:N0} slots free");
    }

    private static string Invariant(FormattableString text) => FormattableString.Invariant(text);
}
