using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Inspection;

// What may go and what stays. The lock that says whether somebody has a segment open is taken for writing first; then what the segment
// holds is looked at, while nobody can come in and add to it.

internal static class SegmentCleaner
{
    public static CleanReport Clean(SegmentReport report, CleanOptions options)
    {
        try
        {
            return report.Kind switch
            {
                SegmentKind.Region => Left(report, "no lock shows whether its run has ended; delete the file when it has"),
                SegmentKind.Pool => Pool(report, options),
                // Whoever lends in a channel has it open, so nobody has its blocks: they go with it.
                _ => options.DryRun ? WouldRemove(report, options) : Remove(report, options),
            };
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return Left(report, e.Message);
        }
    }

    private static CleanReport Pool(SegmentReport report, CleanOptions options)
    {
        string directory = Path.GetDirectoryName(report.Path)!;
        string channel = Path.Combine(directory, PoolInspector.ChannelOf(report.Name));
        SegmentReport? owner = SegmentInspector.At(channel);
        if (owner is { Condition: SegmentCondition.Ready } && PoolLayout.Prefix(channel, owner.Id) == Path.Combine(directory, report.Name))
        {
            // In a dry run the channel is still there; it says what becomes of both.
            return options.DryRun && WouldRemove(owner, options).Removed
                ? new CleanReport(report, true, $"goes with {Path.GetFileName(channel)}")
                : Left(report, $"belongs to {Path.GetFileName(channel)}");
        }

        if (owner is { Condition: SegmentCondition.Unreadable } && !options.IncludePending)
            return Left(report, $"it may belong to {Path.GetFileName(channel)}, which cannot be read");
        if (PrivateFiles.Status(report.Path) is not null)
        {
            CleanReport pool = options.DryRun ? WouldRemove(report, options) : Remove(report, options);
            if (!pool.Removed) return pool;
        }

        if (!options.DryRun)
        {
            foreach (string block in PoolInspector.BlocksOf(directory, report.Name).Paths) File.Delete(block);
        }

        return new CleanReport(report, true, "its channel was removed");
    }

    private static CleanReport WouldRemove(SegmentReport report, CleanOptions options) =>
        report.InUse ? Left(report, InUse(report))
        : ReasonToKeep(report, options) is { } reason ? Left(report, reason) : new CleanReport(report, true, ReasonToGo(report));

    private static CleanReport Remove(SegmentReport report, CleanOptions options)
    {
        string? why = null;
        SegmentRemoval? removal =
            SegmentFile.Remove(report.Path, (file, status) => why = ReasonToKeep(Again(report, file, status), options));
        if (removal is null) return new CleanReport(report, true, "it was removed in the meantime");
        if (removal.Value.Objection is null) return new CleanReport(report, true, ReasonToGo(report));
        return Left(report, why ?? InUse(SegmentInspector.At(report.Path) ?? report));
    }

    private static SegmentReport Again(SegmentReport report, SafeFileHandle file, FileStatus status) =>
        SegmentInspector.Segment(report, file, status);

    private static string? ReasonToKeep(SegmentReport report, CleanOptions options) => report.Condition switch
    {
        SegmentCondition.Retired => null,
        _ when options.IncludePending || FaultPoints.Plants("clean.forgets-messages") => null,
        SegmentCondition.Unreadable => report.Problem,
        _ => report.Contents?.PendingWork,
    };

    private static string ReasonToGo(SegmentReport report) =>
        report.Problem ?? (report.Contents?.PendingWork is { } undone ? $"no process has it open, although {undone}"
        : "no process has it open, and it holds no pending work");

    private static string InUse(SegmentReport report)
    {
        string[] holders = [.. report.Participants.Where(p => p.Alive).Select(p => $"{p.Pid} ({p.Role})")];
        return holders.Length == 0 ? "a process has it open" : $"in use by {string.Join(", ", holders)}";
    }

    private static CleanReport Left(SegmentReport report, string reason) => new(report, false, reason);
}
