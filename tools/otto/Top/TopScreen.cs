using System.Globalization;
using Otto.Tools.Ipc;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Otto.Tools.Top;

// A look for people: one table of queues by route, one of tasks that tell how far they are.

internal static class TopScreen
{
    private const int MostTasksShown = 20;

    public static IRenderable Draw(TopSnapshot snapshot)
    {
        var queues = new Table().Border(TableBorder.Simple);
        foreach (string heading in (string[])["queue", "route", "workers", "ready", "leased", "delayed", "dead", "oldest", "in/s",
            "done/s"])
            queues.AddColumn(new TableColumn(heading) { NoWrap = true,
                Alignment = heading is "queue" or "route" ? Justify.Left : Justify.Right });
        foreach (QueueRow q in snapshot.Queues)
        {
            if (q.Error is { } error) queues.AddRow(Markup.Escape(q.Queue), q.Route, Markup.Escape(error));
            else queues.AddRow(Markup.Escape(q.Queue), q.Route, Count(q.Workers), Count(q.Ready), Count(q.Leased), Count(q.Delayed),
                Count(q.Dead), SegmentFormatter.Age(TimeSpan.FromSeconds(q.OldestSeconds)), Rate(q.EnteredPerSecond),
                Rate(q.LeftPerSecond));
        }

        if (snapshot.Queues.Length == 0) queues.AddRow("no queues");
        var time = new Text(Invariant($"otto top  {snapshot.Time.ToLocalTime():HH:mm:ss}"));
        if (snapshot.Progress.Length == 0) return new Rows(time, queues);
        var tasks = new Table().Border(TableBorder.Simple);
        foreach (string heading in (string[])["task", "queue", "progress", ""]) tasks.AddColumn(new TableColumn(heading) { NoWrap = true });
        foreach (ProgressRow p in snapshot.Progress.Take(MostTasksShown))
            tasks.AddRow(Markup.Escape(p.Task), Markup.Escape(p.Queue ?? p.Route), Part(p), Markup.Escape(p.Text ?? ""));
        if (snapshot.Progress.Length > MostTasksShown) tasks.AddRow(Invariant($"and {snapshot.Progress.Length - MostTasksShown:N0} more"));
        return new Rows(time, queues, tasks);
    }

    private static string Part(ProgressRow p) => p.Total is { } total && total > 0
        ? Invariant($"{p.Done:0.##} of {total:0.##} ({Math.Clamp(100 * p.Done / total, 0, 100):0} %)")
        : Invariant($"{p.Done:0.##}");

    private static string Count(int count) => Invariant($"{count:N0}");

    private static string Rate(double? rate) => rate is { } known ? Invariant($"{known:N0}") : "-";

    private static string Invariant(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
