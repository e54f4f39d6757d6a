using Otto.Ipc.Mmap.Inspection;
using Spectre.Console;

namespace Otto.Tools.Ipc;

// otto ipc ls for people: a line a segment.

internal static class SegmentTable
{
    public static void Print(List<SegmentSnapshot> snapshots)
    {
        // Without a terminal there is no width to fit into.
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 240;
        bool rates = snapshots.Any(snapshot => snapshot.Rates is not null),
            ages = snapshots.Any(snapshot => snapshot.Report.Contents is QueueContents);
        var table = new Table().Border(TableBorder.Simple);
        foreach (string heading in (string[])["name", "shape", "size", "owner", "participants", "depth"]) Add(heading);
        if (ages) Add("oldest");
        if (rates) Add("rates");
        foreach ((SegmentReport report, SegmentRates? rate) in snapshots)
        {
            List<string> cells = [report.Name, SegmentFormatter.Shape(report.Kind), SegmentFormatter.Size(report.Bytes),
                SegmentFormatter.Owner(report.Owner), Participants(report), Depth(report)];
            if (ages) cells.Add(SegmentFormatter.Oldest(report.Contents));
            if (rates) cells.Add(SegmentFormatter.Rates(rate));
            table.AddRow([.. cells.Select(Markup.Escape)]);
        }

        AnsiConsole.Write(table);

        void Add(string heading) =>
            table.AddColumn(new TableColumn(heading) { Alignment = heading == "size" ? Justify.Right : Justify.Left });
    }

    private static string Participants(SegmentReport report) => report.Participants.Count > 0
        ? string.Join(", ", report.Participants.Select(p => p.Alive ? $"{p.Pid} {p.Role}" : $"[{p.Pid} {p.Role}]"))
        : report.InUse ? "in use" : "";

    private static string Depth(SegmentReport report) =>
        report.Condition == SegmentCondition.Ready ? SegmentFormatter.Depth(report.Contents)
        : $"{SegmentFormatter.Condition(report.Condition)}: {report.Problem}";
}
