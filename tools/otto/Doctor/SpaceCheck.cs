using Otto.Ipc.Mmap.Inspection;
using Otto.Tools.Ipc;

namespace Otto.Tools.Doctor;

// Space for segments: how much the file system has, how much of it segments hold, and how many queues still fit.

internal static class SpaceCheck
{
    private const string Area = "space";

    // A queue of the default size, and the topic of its events.
    private const long QueueBytes = 1_150_976 + 655_360, TaskBytes = 1L << 20, SmallBytes = 256L << 20, LittleBytes = 16L << 20;

    /// <param name="directory">The directory of segments.</param>
    /// <param name="reports">The segments; <see langword="null"/> if they cannot be listed.</param>
    public static IEnumerable<Finding> Run(string directory, IReadOnlyList<SegmentReport>? reports)
    {
        string existing = DirectoryCheck.Existing(directory);
        if (KernelProbe.RoomOf(existing) is not { } room)
        {
            yield return Finding.Note(Area, "free", $"the space of {existing} is not known");
            yield break;
        }

        yield return Free(directory, existing, room) with { Value = room.FreeBytes };
        if (room.Files > 0 && room.FreeFiles < 100)
            yield return Finding.Problem(Area, "files", $"{room.FreeFiles} of {room.Files} files free on the file system of {existing}",
                "remove files there, or mount it with a larger nr_inodes") with { Value = room.FreeFiles };
        if (reports is null) yield break;
        long held = reports.Sum(static report => report.Bytes);
        yield return Finding.Ok(Area, "segments", $"{reports.Count} segments hold {SegmentFormatter.Size(held)}") with { Value = held };
    }

    private static Finding Free(string directory, string existing, FileSystemRoom room)
    {
        // A tmpfs without a limit reports no size.
        if (room.Bytes == 0) return Finding.Ok(Area, "free", "no limit on the file system");
        string text = $"{SegmentFormatter.Size(room.FreeBytes)} of {SegmentFormatter.Size(room.Bytes)} free";
        string grow = MachineFiles.Container is { } container ? ContainerCheck.MoreSpace(container)
            : $"mount -o remount,size=50% {MachineFiles.MountOf(existing)?.Point ?? SystemPaths.SharedMemory}";
        if (room.FreeBytes < QueueBytes)
            return Finding.Problem(Area, "free",
                $"{text}: no new queue fits (one of the default size takes {SegmentFormatter.Size(QueueBytes)} with its events)",
                $"otto ipc clean --dry-run shows what can be removed; or {grow}");
        return room.FreeBytes < LittleBytes || (DirectoryCheck.IsInMemory(directory) && room.Bytes < SmallBytes)
            ? Finding.Note(Area, "free",
                $"{text}: room for about {room.FreeBytes / QueueBytes} queues of the default size, or for {room.FreeBytes / TaskBytes} "
                + "tasks of 1 MiB", grow)
            : Finding.Ok(Area, "free", text);
    }
}
