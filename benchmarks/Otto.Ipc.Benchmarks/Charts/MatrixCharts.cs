using System.Globalization;
using Otto.Ipc.Benchmarks.Matrix.Probes;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Charts;

// The two pictures of a run.

internal static class MatrixCharts
{
    private const int Smallest = 64;

    /// <summary>Messages a second by size.</summary>
    public static string Throughput(MatrixRun run) => new LogChart(
        "Messages a second by size, one sender, one receiver",
        "bytes of a message",
        "messages a second",
        [.. SpeedMeasurement.Sizes.Select(static s => new Tick(s, Figures.Bytes(s)))],
        static v => Figures.Rate(v),
        [.. Groups(run).Select(
            g => new Series(g.Key.Title, [.. g.OrderBy(s => s.Bytes).Select(s => ((double)s.Bytes, s.Rate))], ColourOf(run, g.Key.Subject),
                StrokeOf(run, g.Key.Subject)))]).ToSvg();

    /// <summary>Round trips of the smallest size by percentile: asleep all, awake those
    /// that then take less than a system call.</summary>
    public static string Latency(MatrixRun run)
    {
        List<Series> lines = [];
        foreach (IGrouping<(string Subject, string Title), SpeedResult> group in Groups(run))
        {
            SpeedResult smallest = group.First(s => s.Bytes == Smallest);
            int colour = ColourOf(run, group.Key.Subject);
            Stroke stroke = StrokeOf(run, group.Key.Subject);
            if (smallest.Asleep.Count > 0) lines.Add(new Series(group.Key.Title, Points(smallest.Asleep), colour, stroke));
            if (stroke == Stroke.Solid && SpeedResult.At(smallest.Awake, 50) < 2)
                lines.Add(new Series(group.Key.Title + ", awake", Points(smallest.Awake), colour, Stroke.Dotted));
        }

        return new LogChart(
            "Round trips of 64 B by percentile, ends that sleep until a message comes",
            "percentile",
            "µs there and back",
            [.. ((double[])[50, 75, 90, 95, 99, 99.5, 99.9]).Select(
                static p => new Tick(Place(p), p.ToString(CultureInfo.InvariantCulture) + " %"))],
            static v => v.ToString("#,0.##", CultureInfo.InvariantCulture) + " µs",
            lines).ToSvg();
    }

    // So much rarer is what lies beyond: 90 % stands at ten, 99 % at a hundred.
    private static double Place(double percent) => 100 / (100 - percent);

    private static IReadOnlyList<(double X, double Y)> Points(IReadOnlyList<Percentile> distribution) =>
        [.. distribution.Where(static p => p.Percent <= 99.9).Select(static p => (Place(p.Percent), p.Microseconds))];

    private static IEnumerable<IGrouping<(string Subject, string Title), SpeedResult>> Groups(MatrixRun run) =>
        run.Speeds.GroupBy(static s => (s.Subject, s.Title));

    private static Stroke StrokeOf(MatrixRun run, string subject) =>
        run.Head.Columns.Any(c => c.Name == subject) ? Stroke.Solid : Stroke.Dashed;

    private static int ColourOf(MatrixRun run, string subject) =>
        run.Speeds.Select(static s => s.Subject).Distinct().ToList().IndexOf(subject);
}
