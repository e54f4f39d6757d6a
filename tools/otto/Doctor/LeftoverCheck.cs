using Otto.Ipc.Mmap.Inspection;
using Otto.Tools.Ipc;

namespace Otto.Tools.Doctor;

// What ended programs left behind: segments, regions, sockets and FIFOs that no process has open, each with the command that removes it.

internal static class LeftoverCheck
{
    private const string Area = "leftovers";
    private const int MostNamed = 10;

    /// <param name="reports">The segments; <see langword="null"/> if they cannot be listed.</param>
    public static IEnumerable<Finding> Run(IReadOnlyList<SegmentReport>? reports)
    {
        List<Finding> found = [];
        if (reports is not null)
        {
            found.AddRange(Empty(reports));
            found.AddRange(Few(reports.Where(static r => r.Kind != SegmentKind.Region).Select(Of).OfType<Finding>()));
            found.AddRange(Few(Regions(reports)));
        }

        found.AddRange(Few(Files(SocketFolder(), PathKind.Socket)));
        found.AddRange(Few(Files(FifoFolder(), PathKind.Fifo)));
        return found.Count > 0 ? found : [Finding.Ok(Area, "leftovers", "nothing was left over")];
    }

    private static IEnumerable<Finding> Empty(IReadOnlyList<SegmentReport> reports)
    {
        SegmentReport[] empty = [.. reports.Where(static r => r.Kind is not (SegmentKind.Region or SegmentKind.Pool) && !r.InUse
            && r.Condition == SegmentCondition.Ready && r.Contents?.PendingWork is null)];
        if (empty.Length == 0) yield break;
        yield return Finding.Note(Area, "empty-segments",
            $"{empty.Length} segments without a process and without messages ({SegmentFormatter.Size(empty.Sum(static r => r.Bytes))}): "
            + Names(empty.Select(static r => Path.GetFileName(r.Path))),
            $"otto ipc clean{InDirectory(empty[0])}, if no program will open them again") with { Value = empty.Length };
    }

    private static Finding? Of(SegmentReport report)
    {
        string file = Path.GetFileName(report.Path), size = SegmentFormatter.Size(report.Bytes), place = InDirectory(report);
        return report switch
        {
            // What was not made by a program of this user is left by otto ipc too.
            { Condition: SegmentCondition.Unreadable } when !IsOurs(report.Path) => Finding.Problem(Area, "foreign-file", report.Problem!,
                $"rm {report.Path}, if no other program needs it"),
            { Condition: SegmentCondition.Unreadable } => Finding.Problem(Area, "unreadable-segment", report.Problem!,
                $"otto ipc rm {file}{place}, after the programs that use it were stopped"),
            { Condition: SegmentCondition.Retired } => Finding.Note(Area, "removed-segment", $"{file} ({size}): {report.Problem}",
                $"otto ipc clean{place}"),
            { Condition: SegmentCondition.Stale, Contents.PendingWork: { } pending } => Finding.Problem(Area, "segment-of-another-boot",
                $"{file} ({size}): {report.Problem}; {pending}. Programs refuse to open it",
                $"otto ipc rm {file}{place}, if what it holds may be lost"),
            { Condition: SegmentCondition.Stale } => Finding.Note(Area, "segment-of-another-boot", $"{file} ({size}): {report.Problem}",
                $"otto ipc clean{place}; the next program that opens it replaces it too"),
            { Kind: not SegmentKind.Pool, InUse: false, Contents.PendingWork: { } pending } => Finding.Note(Area, "pending-segment",
                $"{file} ({size}): no process has it open; {pending}",
                $"start its program, or otto ipc rm {file}{place} if what it holds may be lost"),
            _ => Dead(report, file),
        };
    }

    private static bool IsOurs(string path) => KernelProbe.StatusOf(path) is { Kind: PathKind.File, Permissions: 0x180 } status
        && status.Owner == KernelProbe.UserNumber;

    private static Finding? Dead(SegmentReport report, string file)
    {
        int dead = report.Participants.Count(static p => !p.Alive);
        return dead == 0 || !report.InUse ? null : Finding.Note(Area, "dead-participants",
            $"{file}: {dead} processes ended without closing it: {Names(report.Participants.Where(static p => !p.Alive)
                .Select(static p => $"pid {p.Pid}"))}",
            "nothing: the programs that use it remove them within two seconds, unless they are stopped") with { Value = dead };
    }

    private static IEnumerable<Finding> Regions(IReadOnlyList<SegmentReport> reports)
    {
        IEnumerable<string> paths = reports.Where(static r => r.Kind == SegmentKind.Region).Select(static r => r.Path);
        string folder = Environment.GetEnvironmentVariable("OTTO_MMAP_DIR") is { Length: > 0 } named ? named : SystemPaths.SharedMemory;
        if (Directory.Exists(folder)) paths = paths.Concat(Directory.EnumerateFiles(folder, "otto-*-*"));
        foreach (string path in paths.Distinct(StringComparer.Ordinal))
        {
            string[] parts = Path.GetFileName(path).Split('-', 3);
            if (parts.Length < 3 || !int.TryParse(parts[1], out int run) || run <= 0 || MachineFiles.Runs(run)) continue;
            if (KernelProbe.StatusOf(path) is not { Kind: PathKind.File } status || status.Owner != KernelProbe.UserNumber) continue;
            yield return Finding.Note(Area, "region", $"{path}: its run, process {run}, is not in this pid namespace",
                $"rm {path}, if the run is over");
        }
    }

    private static IEnumerable<Finding> Files(string folder, PathKind kind)
    {
        string[] files;
        try
        {
            files = Directory.Exists(folder) ? Directory.GetFiles(folder) : [];
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            yield break;
        }

        foreach (string file in files)
        {
            if (KernelProbe.StatusOf(file) is not { } status || status.Kind != kind || status.Owner != KernelProbe.UserNumber) continue;
            if (kind == PathKind.Socket && !MachineFiles.IsOpenSocket(file))
                yield return Finding.Note(Area, "socket", $"{file}: no server of this network namespace has it open",
                    $"otto serve --socket {file} replaces it; or rm {file}");
            if (kind == PathKind.Fifo && !MachineFiles.IsOpen(file))
                yield return Finding.Note(Area, "fifo", $"{file}: no process that is visible here has it open",
                    $"rm {file} {file}.lock, if its programs have ended");
        }
    }

    private static string SocketFolder() =>
        Environment.GetEnvironmentVariable("OTTO_SOCKET") is { Length: > 0 } socket ? Path.GetDirectoryName(Path.GetFullPath(socket))!
        : RuntimeFolder();

    private static string FifoFolder() =>
        Environment.GetEnvironmentVariable("OTTO_FIFO_DIR") is { Length: > 0 } named ? named : RuntimeFolder();

    private static string RuntimeFolder() =>
        Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } runtime ? Path.Combine(runtime, "otto")
        : $"/tmp/otto-{KernelProbe.UserNumber}";

    private static string InDirectory(SegmentReport report) => $" --dir {Path.GetDirectoryName(report.Path)}";

    private static string Names(IEnumerable<string> all)
    {
        string[] names = [.. all];
        return string.Join(", ", names.Take(MostNamed)) + (names.Length > MostNamed ? $" and {names.Length - MostNamed} more" : "");
    }

    // A directory full of leftovers is one fault, not a thousand lines.
    private static IEnumerable<Finding> Few(IEnumerable<Finding> findings)
    {
        foreach (IGrouping<string, Finding> alike in findings.GroupBy(static f => f.Check))
        {
            foreach (Finding finding in alike.Take(MostNamed)) yield return finding;
            if (alike.Count() - MostNamed is > 0 and var more)
                yield return Finding.Note(Area, alike.Key, $"{more} more like these") with { Value = more };
        }
    }
}
