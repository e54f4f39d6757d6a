using System.CommandLine;
using System.Globalization;
using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Inspection;

namespace Otto.Tools.Ipc;

// otto ipc: what lies in shared memory here, and who holds it. Looking takes no part in anything; cleaning removes what nobody holds.

internal static class IpcCommand
{
    private const double LongestInterval = 3600;

    public static Command Create()
    {
        var command = new Command(
            "ipc",
            """
            Shows the segments in shared memory: streams, queues, topics, loan pools and regions.

            Example:
              otto ipc ls
              otto ipc stat jobs --interval 5
              otto ipc rm jobs
              otto ipc clean --dry-run
            """);
        command.Add(CreateList());
        command.Add(CreateStat());
        command.Add(CreateRemove());
        command.Add(CreateClean());
        return command;
    }

    private static Command CreateList()
    {
        Option<string?> directory = DirectoryOption(),
            interval = IntervalOption(
                "Sample twice, this many seconds apart, and show messages in and out per second. Default: sample once.");
        Option<bool> json = JsonOption();
        var command = new Command(
            "ls",
            """
            Lists the segments: shape, size, owner, attached processes and contents. A pid in brackets belongs to a
            process that died and has not been cleaned up yet.

            Example:
              otto ipc ls --json | jq -r 'select(.inUse | not) | .name'
            """) { directory, interval, json };
        command.SetAction(parsed =>
        {
            var inspector = new MmapInspector(new MmapTransportOptions { Directory = parsed.GetValue(directory) });
            List<SegmentSnapshot> snapshots =
                SegmentSnapshot.Look(() => inspector.List(), Seconds(parsed.GetValue(interval)) ?? TimeSpan.Zero);
            if (snapshots.Count == 0) Console.Error.WriteLine($"otto: no segments in {inspector.Directory}");
            else if (parsed.GetValue(json)) SegmentJson.Print(snapshots);
            else SegmentTable.Print(snapshots);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command CreateStat()
    {
        var name = new Argument<string>("NAME") { Description = "A channel's name, or the name of a segment's file." };
        Option<string?> directory = DirectoryOption(),
            interval = IntervalOption("Seconds between the two samples that give the rates; 0 samples once. Default: 1.");
        Option<bool> json = JsonOption();
        var command = new Command(
            "stat",
            """
            Shows one segment in detail: participants, lanes, the age of the oldest message and lease, and messages
            in and out per second.

            Example:
              otto ipc stat jobs --json | jq .depth.oldestLeaseSeconds
            """) { name, directory, interval, json };
        command.SetAction(parsed =>
        {
            var inspector = new MmapInspector(new MmapTransportOptions { Directory = parsed.GetValue(directory) });
            string wanted = parsed.GetValue(name)!;
            List<SegmentSnapshot> snapshots =
                SegmentSnapshot.Look(() => inspector.Find(wanted), Seconds(parsed.GetValue(interval)) ?? TimeSpan.FromSeconds(1));
            if (snapshots.Count == 0)
            {
                Console.Error.WriteLine($"otto: no segment '{wanted}' in {inspector.Directory}");
                return ExitCode.NoSegment;
            }

            if (parsed.GetValue(json)) SegmentJson.Print(snapshots);
            else SegmentDetails.Print(snapshots);
            return ExitCode.Done;
        });
        return command;
    }

    private static Command CreateRemove()
    {
        var name = new Argument<string>("NAME") { Description = "A channel's name, or the name of a segment's file." };
        Option<string?> directory = DirectoryOption();
        Option<bool> json = JsonOption();
        var command = new Command(
            "rm",
            """
            Removes the segments of one name with everything that they hold, unless a process has them open.

            Example:
              otto ipc rm jobs.queue
            """) { name, directory, json };
        command.SetAction(parsed =>
        {
            var inspector = new MmapInspector(new MmapTransportOptions { Directory = parsed.GetValue(directory) });
            string wanted = parsed.GetValue(name)!;
            IReadOnlyList<CleanReport> reports = inspector.Clean(new CleanOptions { IncludePending = true, Name = wanted });
            if (reports.Count == 0)
            {
                Console.Error.WriteLine($"otto: no segment '{wanted}' in {inspector.Directory}");
                return ExitCode.NoSegment;
            }

            Print(reports, parsed.GetValue(json), dryRun: false);
            return reports.All(report => report.Removed) ? ExitCode.Done : ExitCode.Denied;
        });
        return command;
    }

    private static void Print(IReadOnlyList<CleanReport> reports, bool json, bool dryRun)
    {
        foreach (CleanReport report in reports)
        {
            if (json) SegmentJson.Print(report, dryRun);
            else Console.WriteLine($"{(report.Removed ? dryRun ? "would remove" : "removed" : "left")} "
                + $"{Path.GetFileName(report.Segment.Path)} ({SegmentFormatter.Size(report.Segment.Bytes)}): {report.Reason}");
        }
    }

    private static Command CreateClean()
    {
        Option<string?> directory = DirectoryOption();
        Option<bool> json = JsonOption();
        var dryRun = new Option<bool>("--dry-run") { Description = "Only print what would be removed and what would be kept." };
        var all = new Option<bool>("--all") { Description = "Also remove closed segments that still hold unread or unfinished messages, "
            + "dead letters or lent blocks, and files that fail a check." };
        var command = new Command(
            "clean",
            """
            Removes the segments that are closed and hold no pending work, and prints why each other segment was kept.
            A segment is closed if the kernel holds no lock of a live process on it.

            Example:
              otto ipc clean --dry-run --all
            """) { dryRun, all, directory, json };
        command.SetAction(parsed =>
        {
            var inspector = new MmapInspector(new MmapTransportOptions { Directory = parsed.GetValue(directory) });
            bool dry = parsed.GetValue(dryRun);
            IReadOnlyList<CleanReport> reports = inspector.Clean(new CleanOptions { DryRun = dry, IncludePending = parsed.GetValue(all) });
            if (reports.Count == 0) Console.Error.WriteLine($"otto: no segments in {inspector.Directory}");
            Print(reports, parsed.GetValue(json), dry);
            return ExitCode.Done;
        });
        return command;
    }

    private static Option<string?> DirectoryOption() =>
        new("--dir")
        {
            Description = $"The directory of segments. Default: OTTO_SHM_DIR, else {SystemPaths.SharedMemory}/otto-<uid>.",
            HelpName = "DIR",
        };

    private static Option<bool> JsonOption() => new("--json") { Description = "Print one JSON object per line." };

    // All strings: the parser's generic code over numbers would have to be compiled at each start.
    private static Option<string?> IntervalOption(string description) =>
        new("--interval") { Description = description, HelpName = "SECONDS" };

    private static TimeSpan? Seconds(string? text) => text is null ? null
        : double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double seconds)
        && seconds <= LongestInterval ? TimeSpan.FromSeconds(seconds)
        : throw new ArgumentException($"--interval must be 0 to {LongestInterval:N0} seconds: '{text}'");
}
