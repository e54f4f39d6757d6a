using System.Globalization;
using System.Text;
using Otto.Ipc.Benchmarks.Charts;

namespace Otto.Ipc.Benchmarks.Matrix.Results;

// The run as a document. All of it follows from the run's lines, so that a test can write it again and compare.

internal static class MatrixMarkdown
{
    public const string ThroughputSuffix = "-throughput.svg", LatencySuffix = "-latency.svg";

    /// <summary>Writes the report, and the charts beside it.</summary>
    public static void WriteWithCharts(MatrixRun run, string path)
    {
        string stem = Path.Combine(Path.GetDirectoryName(path)!, Path.GetFileNameWithoutExtension(path));
        File.WriteAllText(path, Report(run, Path.GetFileName(stem)));
        File.WriteAllText(stem + ThroughputSuffix, MatrixCharts.Throughput(run));
        File.WriteAllText(stem + LatencySuffix, MatrixCharts.Latency(run));
    }

    /// <summary>The whole report.</summary>
    /// <param name="run">The run.</param>
    /// <param name="stem">How the charts' names begin.</param>
    public static string Report(MatrixRun run, string stem)
    {
        RunHead head = run.Head;
        var text = new StringBuilder();
        text.AppendLine($"# The comparison matrix, {head.Date}").AppendLine();
        text.AppendLine($"{head.Machine}. {head.Kernel}, .NET SDK {head.Sdk}, {head.Runtime}. Commit `{head.Commit}`. "
            + $"Command: `{head.Command}`.");
        text.AppendLine(string.Create(CultureInfo.InvariantCulture,
            $"{head.Repeats} repeats of {head.WindowMilliseconds:0} ms for each size and way, "
            + $"in an order drawn with the seed {head.Seed}; figures are medians, but the processor time of a message, which is the "
            + $"least of all repeats."));
        text.AppendLine(FormattableString.Invariant(
            $"Load before and after: {head.Load[0]:0.00}, {head.Load[1]:0.00}. Typical spread of the repeats: {run.TypicalSpread:0.00}."));
        if (run.Noise is { } noise) text.AppendLine().AppendLine($"**{noise}**");
        foreach (string left in head.LeftOut) text.AppendLine().AppendLine($"Left out: {left}.");
        foreach (Failure failure in head.Failures)
            text.AppendLine().AppendLine($"**Failed once, and taken again: {Plain($"{failure.Title}, {failure.What}")}.**");
        text.AppendLine().AppendLine("What makes a verdict stands in `benchmarks/Otto.Ipc.Benchmarks/Matrix/Verdicts.cs`.").AppendLine();
        text.Append(Table(run)).AppendLine();
        text.AppendLine("## Where we find something else than is usually said").AppendLine();
        foreach (string note in Notes(run)) text.AppendLine($"* {Plain(note)}");
        text.AppendLine().AppendLine($"![Messages a second by size]({stem}{ThroughputSuffix})").AppendLine();
        text.AppendLine($"![Round trips of 64 B by percentile]({stem}{LatencySuffix})").AppendLine();
        text.Append(Figures(run)).AppendLine();
        text.AppendLine("## Evidence");
        foreach (Row row in Enum.GetValues<Row>())
        {
            text.AppendLine().AppendLine($"### {Verdicts.Word(row)}").AppendLine();
            foreach (Column column in head.Columns)
            {
                if (run.At(row, column.Name) is { } cell)
                    text.AppendLine($"* {Plain(column.Title)}: **{cell.Verdict}**. {Plain(cell.Evidence)}.");
            }
        }

        return text.ToString();
    }

    /// <summary>The table: what was measured, and beneath it what is usually said.</summary>
    public static string Table(MatrixRun run)
    {
        var text = new StringBuilder();
        text.AppendLine($"| | {string.Join(" | ", run.Head.Columns.Select(static c => Plain(c.Title)))} |");
        text.AppendLine($"| --- |{string.Concat(run.Head.Columns.Select(static _ => " --- |"))}");
        foreach (Row row in Enum.GetValues<Row>())
            text.AppendLine($"| {Verdicts.Word(row)} | "
                + $"{string.Join(" | ", run.Head.Columns.Select(c => run.At(row, c.Name) is { } cell ? Words(cell) : ""))} |");
        return text.ToString();
    }

    /// <summary>One sentence for each cell that says something else than is usually said.</summary>
    public static IEnumerable<string> Notes(MatrixRun run) =>
        from cell in run.Cells
        where cell.Disagrees
        let title = run.Head.Columns.First(c => c.Name == cell.Subject).Title
        select $"{title}, {Verdicts.Word(cell.Row)}: usually *{cell.Usual}*, here **{cell.Verdict}**: "
        + $"{(cell.Row == Row.Speed ? cell.Evidence.Split(';')[0] : cell.Evidence)}.";

    /// <summary>A cell in a few words: what was found, and the number where one tells more.</summary>
    public static string Short(Cell cell) => cell.Verdict + NumberOf(cell);

    // Else Channel<T> would be read as a tag of HTML, and not shown.
    private static string Plain(string text) => text.Replace("<", "\\<", StringComparison.Ordinal);

    private static string Words(Cell cell)
    {
        string usual = cell.Usual is null ? "" : cell.Disagrees ? $"<br>usually: *{cell.Usual}*" : "<br>as usually said";
        return $"**{cell.Verdict}**{NumberOf(cell)}{usual}";
    }

    private static string NumberOf(Cell cell) =>
        cell.Row is Row.Speed or Row.SetUp or Row.Overhead or Row.SizeLimits && cell.Number is { } n ? $", {Number(n, cell.Unit!)}" : "";

    private static string Number(double value, string unit) => unit switch
    {
        "B" => Results.Figures.Bytes((long)value),
        "µs there and back" => Results.Figures.Microseconds(value) + " µs",
        "µs CPU a message" => Results.Figures.Microseconds(value) + " µs",
        _ => value.ToString("N0", CultureInfo.InvariantCulture) + " " + unit,
    };

    private static string Figures(MatrixRun run)
    {
        var text = new StringBuilder();
        text.AppendLine("## Figures").AppendLine();
        text.AppendLine("Round trips in µs, p50 and p99; awake ends look again and again, asleep ones wait in the kernel. CPU is of all "
            + "processes for a message of a busy run.").AppendLine();
        text.AppendLine("| | bytes | messages/s | awake | asleep | CPU a message | allocated | spread |");
        text.AppendLine("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        foreach (SpeedResult s in run.Speeds)
        {
            text.AppendLine(string.Create(CultureInfo.InvariantCulture,
                $"| {Plain(s.Title)} | {s.SentBytes:N0} | {Results.Figures.Rate(s.Rate)} | {Both(s.Awake)} | {Both(s.Asleep)} | "
                + $"{Results.Figures.Microseconds(s.CpuMicroseconds)} µs | {s.AllocatedBytes:0.#} B | {s.Spread:0.00} |"));
        }

        return text.ToString();
    }

    private static string Both(IReadOnlyList<Percentile> d) =>
        d.Count == 0 ? ""
        : $"{Results.Figures.Microseconds(SpeedResult.At(d, 50))} / {Results.Figures.Microseconds(SpeedResult.At(d, 99))}";
}
