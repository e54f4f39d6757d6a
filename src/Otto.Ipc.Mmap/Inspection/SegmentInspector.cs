using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Streams;
using Otto.Ipc.Mmap.Topics;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Inspection;

// One look at one file: opened for reading, never mapped, no lock taken. Whatever stands in it, the look ends with a report; what fails a
// check is said in it.

internal static class SegmentInspector
{
    private static readonly (int Bit, string Name)[] Roles =
    [
        ((int)ParticipantRoles.Sends, "sends"), ((int)ParticipantRoles.Receives, "receives"),
        ((int)ParticipantRoles.TakesWork, "takes work"),
        ((int)ParticipantRoles.Publishes, "publishes"), ((int)ParticipantRoles.Subscribes, "subscribes"),
        ((int)ParticipantRoles.Lends, "lends"),
    ];

    /// <summary>Inspects a file.</summary>
    /// <returns>The report; <see langword="null"/> if the file is not one of ours, or was removed meanwhile.</returns>
    public static SegmentReport? At(string path)
    {
        if (Identify(Path.GetFileName(path)) is not { } what) return null;
        if (PrivateFiles.Status(path) is not { } status) return null;
        var report = new SegmentReport { Name = what.Name, Kind = what.Kind, Path = path, Bytes = status.Size, Owner = status.Owner,
            Condition = SegmentCondition.Ready };
        try
        {
            using SafeFileHandle? file = what.Kind == SegmentKind.Region ? OpenRegion(path)
                : SegmentStore.TryOpen(path, out status, writable: false);
            if (file is null) return null;
            return what.Kind == SegmentKind.Region
                ? report with { Contents = RegionInspector.Of(new SegmentFileReader(file, path), status.Size, what.Pid) }
                : Segment(report, file, status);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return report with { Condition = SegmentCondition.Unreadable, Problem = e.Message };
        }
    }

    /// <summary>Inspects an open segment.</summary>
    /// <param name="report">What its name says.</param>
    /// <param name="file">Its file; nothing is taken or changed.</param>
    /// <param name="status">What the kernel said of the file when it was opened.</param>
    public static SegmentReport Segment(SegmentReport report, SafeFileHandle file, FileStatus status)
    {
        using ParticipantLocks probe = SegmentFile.OpenLocks(file, report.Path, writable: false);
        SegmentFileReader bytes = new SegmentFileReader(file, report.Path);
        report = report with { Bytes = status.Size, InUse = probe.IsAnyoneAttached };
        try
        {
            ISegmentSpec spec = SpecOf(report.Kind);
            FixedHeader header = SegmentLayout.Read(bytes.Read(0, SegmentLayout.HeaderBytes), status.Size, spec.Shape, report.Path);
            SegmentPlan plan = SegmentFile.PlanOf(spec, header, report.Path);
            bool stale = header.State != SegmentLayout.StateRetired && SegmentFile.IsOfAnotherBoot(header, file)
                && !ParticipantEntry.IsAnyAlive(file, header, probe);
            report = report with
            {
                Id = header.Id,
                MaxParticipants = plan.MaxParticipants,
                Condition = header.State == SegmentLayout.StateRetired ? SegmentCondition.Retired
                : stale ? SegmentCondition.Stale : SegmentCondition.Ready,
                Problem = header.State == SegmentLayout.StateRetired ? "it was removed, and its remover died before it deleted the name"
                    : stale ? $"it was made under another boot id ({header.BootId})" : null,
                Participants = ParticipantsOf(bytes, plan, probe),
            };
            if (header.State is not (SegmentLayout.StateReady or SegmentLayout.StateRetired))
                throw new CorruptSegmentException($"{report.Path}: state is {header.State}, expected {SegmentLayout.StateReady}");
            return report with { Contents = DepthOf(bytes, plan, probe) };
        }
        catch (IOException e)
        {
            return report with { Condition = SegmentCondition.Unreadable, Problem = e.Message };
        }
    }

    /// <summary>
    /// Gets what a file's name indicates; <see langword="null"/> if the file is not one of ours. Blocks are reported
    /// with their pool.
    /// </summary>
    public static (string Name, SegmentKind Kind, int Pid)? Identify(string fileName)
    {
        foreach (SegmentShape shape in Enum.GetValues<SegmentShape>())
        {
            string suffix = $".{SegmentFile.NameOf(shape)}";
            if (!fileName.EndsWith(suffix, StringComparison.Ordinal)) continue;
            string name = fileName[..^suffix.Length];
            return name.Length > 0 && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-') ? (name, KindOf(shape), 0)
                : null;
        }

        return RegionInspector.TryParse(fileName, out int pid, out string task) ? (task, SegmentKind.Region, pid) : null;
    }

    // What each shape adds to a look is here, and its depth below.
    private static ISegmentSpec SpecOf(SegmentKind kind) => kind switch
    {
        SegmentKind.Stream => new StreamSpec(new MmapStreamOptions()),
        SegmentKind.Queue => new QueueSpec(new MmapQueueOptions()),
        SegmentKind.Topic => new TopicSpec(new MmapTopicOptions()),
        _ => new PoolSpec(1),
    };

    private static SegmentContents DepthOf(SegmentFileReader bytes, SegmentPlan plan, ParticipantLocks probe) => plan.Shape switch
    {
        SegmentShape.Stream => RingInspector.OfStream(bytes, plan, probe),
        SegmentShape.Queue => QueueInspector.Of(bytes, plan),
        SegmentShape.Topic => RingInspector.OfTopic(bytes, plan),
        _ => PoolInspector.Of(bytes, plan),
    };

    private static SegmentKind KindOf(SegmentShape shape) => shape switch
    {
        SegmentShape.Stream => SegmentKind.Stream,
        SegmentShape.Queue => SegmentKind.Queue,
        SegmentShape.Topic => SegmentKind.Topic,
        _ => SegmentKind.Pool,
    };

    private static List<ParticipantReport> ParticipantsOf(SegmentFileReader bytes, SegmentPlan plan, ParticipantLocks probe)
    {
        byte[] entries = bytes.Read(SegmentLayout.ParticipantsOffset, plan.MaxParticipants * SegmentLayout.ParticipantBytes);
        var found = new List<ParticipantReport>();
        for (int i = 0; i < plan.MaxParticipants; i++)
        {
            ReadOnlySpan<byte> entry = entries.AsSpan(i * SegmentLayout.ParticipantBytes, SegmentLayout.ParticipantBytes);
            if ((BinaryPrimitives.ReadInt64LittleEndian(entry) & Segments.Participants.StateMask) != Segments.Participants.Active) continue;
            found.Add(new ParticipantReport(
                i,
                BinaryPrimitives.ReadInt32LittleEndian(entry[Segments.Participants.PidField..]),
                RoleOf(BinaryPrimitives.ReadInt32LittleEndian(entry[Segments.Participants.RolesField..])),
                probe.IsAlive(i),
                BinaryPrimitives.ReadUInt64LittleEndian(entry[Segments.Participants.NamespaceField..]) == ProcessIdentity.PidNamespace));
        }

        return found;
    }

    private static string RoleOf(int bits) =>
        string.Join(", ", Roles.Where(role => (bits & role.Bit) != 0).Select(role => role.Name)) is { Length: > 0 } names ? names
        : "nothing yet";

    private static SafeFileHandle? OpenRegion(string path)
    {
        try
        {
            return File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
    }
}
