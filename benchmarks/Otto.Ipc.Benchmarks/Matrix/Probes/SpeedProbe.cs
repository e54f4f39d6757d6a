using Otto.Ipc.Benchmarks.Matrix.Hosts;
using Otto.Ipc.Benchmarks.Matrix.Results;
using Otto.Ipc.Benchmarks.Matrix.Subjects;

namespace Otto.Ipc.Benchmarks.Matrix.Probes;

/// <summary>What the measurement says of a subject's speed.</summary>
/// <remarks>The word comes from the quietest round trips: whatever else the machine does,
/// it only ever adds time.</remarks>
internal sealed class SpeedProbe(IReadOnlyList<SpeedResult> results) : Probe
{
    public override Row Row => Row.Speed;

    public override Cell Try(Subject subject)
    {
        SpeedResult[] mine = [.. results.Where(r => r.Subject == subject.Name)];
        SpeedResult smallest = mine.MinBy(r => r.Bytes) ?? throw new ProbeException(SpeedResult.NeverTaken);
        double best = smallest.QuietestMicroseconds;
        TransportSpeed verdict = Verdicts.Speed(best, subject.Leaning?.Speed);
        string evidence = $"{Figures.Microseconds(best)} µs there and back at its "
            + $"quietest{Leaned(subject, Verdicts.Word(Verdicts.Speed(best)), Verdicts.Word(verdict))}; " + string.Join("; ",
                mine.Select(Sentence));
        return Found(subject, Verdicts.Word(verdict), evidence, Math.Round(best, 2), "µs there and back",
            subject.Traits is { } t ? Verdicts.Word(t.Speed) : null);
    }

    private static string Sentence(SpeedResult r) =>
        $"{Text(r.SentBytes)} B: {Text(r.Rate)} messages/s, there and back p50/p99 {Pair(r.Awake)} µs awake, {Pair(r.Asleep)} µs asleep";

    private static string Pair(IReadOnlyList<Percentile> distribution) =>
        distribution.Count == 0 ? "—"
        : $"{Figures.Microseconds(SpeedResult.At(distribution, 50))}/{Figures.Microseconds(SpeedResult.At(distribution, 99))}";
}
