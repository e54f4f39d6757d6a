using System.Globalization;
using Spectre.Console;

namespace Otto.Ipc.Benchmarks.Matrix.Results;

// The run on a terminal: the table, where it says something else than is usually said, the figures, and what fails.

internal static class MatrixConsole
{
    public static void Print(MatrixRun run)
    {
        // Without a terminal there is no width to fit into.
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 200;
        AnsiConsole.Write(Verdict(run));
        AnsiConsole.Write(Figures(run));
        Line("Evidence");
        foreach (Cell cell in run.Cells) Line($"  {Verdicts.Word(cell.Row)}, {TitleOf(run, cell)}: {cell.Verdict}. {cell.Evidence}");
        Line("Where we find something else than is usually said");
        foreach (string note in MatrixMarkdown.Notes(run)) Line("  " + note.Replace("*", "", StringComparison.Ordinal));
        foreach (string left in run.Head.LeftOut) Line($"Left out: {left}");
        if (run.Noise is { } noise) Line(noise);
    }

    /// <summary>What fails the run, on the standard error.</summary>
    public static void PrintFailures(MatrixRun run)
    {
        foreach (Failure failure in run.Head.Failures)
            Console.Error.WriteLine($"{(failure.IsOurs ? "FAILED" : "failed, a peer")}: {failure.Title}, {failure.What}");
        foreach (Cell cell in run.Contradictions)
            Console.Error.WriteLine($"FAILED: {TitleOf(run, cell)}, {Verdicts.Word(cell.Row)}: {cell.Contradiction}. {cell.Evidence}");
    }

    private static Table Verdict(MatrixRun run)
    {
        var table = new Table().Border(TableBorder.Simple).AddColumn("measured (usually said)");
        foreach (Column column in run.Head.Columns) table.AddColumn(Markup.Escape(column.Title));
        foreach (Row row in Enum.GetValues<Row>())
            table.AddRow([Verdicts.Word(row),
                .. run.Head.Columns.Select(c => run.At(row, c.Name) is { } cell ? Markup.Escape(Words(cell)) : "")]);
        return table;
    }

    private static string Words(Cell cell) =>
        cell.Usual is null ? cell.Verdict : cell.Disagrees ? $"{cell.Verdict} ({cell.Usual}) !" : $"{cell.Verdict} ({cell.Usual})";

    private static Table Figures(MatrixRun run)
    {
        var table = new Table().Border(TableBorder.Simple);
        foreach (string heading in (string[])["", "bytes", "messages/s", "awake p50", "p99", "asleep p50", "p99", "CPU/message", "alloc",
            "spread"]) table.AddColumn(heading);
        foreach (SpeedResult s in run.Speeds)
        {
            table.AddRow(
                Markup.Escape(s.Title), s.SentBytes.ToString("N0", CultureInfo.InvariantCulture), Results.Figures.Rate(s.Rate),
                Micro(s.Awake, 50), Micro(s.Awake, 99), Micro(s.Asleep, 50), Micro(s.Asleep, 99),
                Results.Figures.Microseconds(s.CpuMicroseconds) + " µs",
                s.AllocatedBytes.ToString("0.#", CultureInfo.InvariantCulture) + " B",
                s.Spread.ToString("0.00", CultureInfo.InvariantCulture));
        }

        return table;
    }

    private static string Micro(IReadOnlyList<Percentile> distribution, double percent) =>
        Results.Figures.Microseconds(SpeedResult.At(distribution, percent));

    private static string TitleOf(MatrixRun run, Cell cell) =>
        run.Head.Columns.FirstOrDefault(c => c.Name == cell.Subject)?.Title ?? cell.Subject;

    private static void Line(string text) => Console.WriteLine(text);
}
