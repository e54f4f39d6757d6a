using System.Globalization;
using Otto.Ipc.Mmap.Inspection;
using Spectre.Console;

namespace Otto.Tools.Ipc;

// otto ipc stat for people: one segment in full.

internal static class SegmentDetails
{
    public static void Print(List<SegmentSnapshot> snapshots)
    {
        if (Console.IsOutputRedirected) AnsiConsole.Profile.Width = 240;
        foreach (SegmentSnapshot snapshot in snapshots) Print(snapshot);
    }

    private static void Print(SegmentSnapshot snapshot)
    {
        SegmentReport report = snapshot.Report;
        Grid grid = new Grid().AddColumn(new GridColumn { NoWrap = true, Padding = new Padding(2, 0, 2, 0) }).AddColumn();
        Console.WriteLine($"{report.Name}, a {SegmentFormatter.Shape(report.Kind)}");
        Row("file", $"{report.Path}, {SegmentFormatter.Size(report.Bytes)}, of user {SegmentFormatter.Owner(report.Owner)}");
        Row("state", $"{SegmentFormatter.Condition(report.Condition)}, "
            + $"{(report.InUse ? "in use" : report.Kind == SegmentKind.Region ? "use is unknown" : "closed: no process has it open")}");
        if (report.Problem is { } problem) Row("problem", problem);
        if (report.Contents is { } depth) Row("depth", SegmentFormatter.Depth(depth));
        if (report.Contents is QueueContents) Row("oldest", SegmentFormatter.Oldest(report.Contents));
        if (snapshot.Rates is { } rates) Row("rates", $"{SegmentFormatter.Rates(rates)}, over {SegmentFormatter.Age(rates.Over)}");
        if (report.Contents is StreamContents stream)
        {
            Row("receiver", stream.HasReceiver ? "alive" : "none");
            foreach (StreamLaneContents lane in stream.Lanes)
                Row($"lane {lane.Lane.ToString(CultureInfo.InvariantCulture)}", $"{SegmentFormatter.Size(lane.UnreadBytes)} unread, "
                    + $"{(lane.HasSender ? "its sender alive" : lane.Completed ? "completed" : "no sender")}");
        }

        foreach (ParticipantReport p in report.Participants)
            Row($"participant {p.Number.ToString(CultureInfo.InvariantCulture)}",
                $"pid {p.Pid.ToString(CultureInfo.InvariantCulture)}{(p.SameNamespace ? "" : " of another namespace")}, {p.Role}, "
                + $"{(p.Alive ? "alive" : "dead, not swept yet")}");
        AnsiConsole.Write(grid);

        void Row(string what, string value) => grid.AddRow(Markup.Escape(what), Markup.Escape(value));
    }
}
