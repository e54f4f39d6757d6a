using System.Globalization;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Segments;

// How a segment comes into being, is found, and goes. A file gets its name only once it is complete, so nothing half-made is ever seen
// and nothing half-made can leak; a file is checked in full before the first byte of it is mapped.

/// <summary>What a shape contributes to creating and checking a segment.</summary>
internal interface ISegmentSpec
{
    SegmentShape Shape { get; }

    /// <summary>The plan for a segment that does not exist yet.</summary>
    SegmentPlan NewPlan();

    /// <summary>The plan that an existing header describes; throws where its numbers are
    /// impossible or are not the ones asked for.</summary>
    SegmentPlan PlanOf(in FixedHeader header, string path);

    /// <summary>Writes a new segment's control words and data, which are zero.</summary>
    void Initialise(SegmentMapping mapping, SegmentPlan plan);

    /// <summary>What would be lost with an existing segment, whatever its sizes, as the end of a sentence that begins
    /// with "it holds".</summary>
    /// <returns><see langword="null"/> if nothing would be lost.</returns>
    string? PendingWork(SegmentMapping mapping, in FixedHeader header, string path);
}

/// <summary>An open segment file: mapped, checked, and held against removal.</summary>
internal sealed class SegmentFile
{
    private const int Tries = 164, FirstTries = 64; // half a second: no call on a damaged segment takes longer than a whole one
    private static readonly TimeSpan TriesPause = TimeSpan.FromMilliseconds(5);

    private readonly SafeFileHandle _file;
    private readonly ulong _inode;
    private ChannelMeter? _meter;
    private string? _companions;
    private bool _retired;

    private SegmentFile(SafeFileHandle file, ParticipantLocks locks, SegmentMapping mapping, SegmentPlan plan, Guid id, string path)
    {
        Id = id;
        Locks = locks;
        Mapping = mapping;
        Plan = plan;
        Path = path;
        // A mapping needs no descriptor, so the one of the locks is the only one, where locks have one.
        _file = locks.File ?? file;
        if (_file != file) file.Dispose();
        _inode = PrivateFiles.Status(_file).Inode;
    }

    /// <summary>The segment's random identity.</summary>
    public Guid Id { get; }

    /// <summary>Carries the read lock that keeps the segment from being removed, and this
    /// participant's own locks.</summary>
    public ParticipantLocks Locks { get; }

    public SegmentMapping Mapping { get; }

    public SegmentPlan Plan { get; }

    public string Path { get; }

    /// <summary>Counts what passes here.</summary>
    public ChannelMeter Meter => _meter ??= new ChannelMeter(Path);

    /// <summary>Whether the name was seen to lead elsewhere. A process that opens the segment now uses another file.
    /// Set permanently by <see cref="CheckStillLinked"/>.</summary>
    public bool IsRetired => Volatile.Read(ref _retired);

    /// <summary>Checks whether the name still leads to this file.</summary>
    /// <returns><see langword="true"/> if the name no longer leads to this file; otherwise,
    /// <see langword="false"/>.</returns>
    public bool CheckStillLinked()
    {
        if (_retired) return true;
        // No other file has its number while it is mapped here.
        bool retired = PrivateFiles.Status(Path)?.Inode != _inode || Mapping.Int(SegmentLayout.StateOffset) == SegmentLayout.StateRetired;
        if (retired) Volatile.Write(ref _retired, true);
        return retired;
    }

    /// <summary>Creates the exception for a caller that uses a segment after it was retired.</summary>
    public SegmentRemovedException Retired() =>
        new($"{Path} was deleted, replaced or unlinked while it was open here; processes that open it "
        + $"now use another segment: dispose this handle and open it again");

    public static string PathOf(string directory, ChannelName name, SegmentShape shape) =>
        System.IO.Path.Combine(directory, $"{name.Value}.{NameOf(shape)}");

    public static SegmentFile OpenOrCreate(string? directory, ChannelName name, ISegmentSpec spec)
    {
        string checkedDirectory = SegmentDirectory.Ensure(directory);
        return OpenOrCreateAt(PathOf(checkedDirectory, name, spec.Shape), spec);
    }

    /// <summary>As <see cref="OpenOrCreate"/>, for a segment beside another one, whose directory was checked.</summary>
    public static SegmentFile OpenOrCreateAt(string path, ISegmentSpec spec)
    {
        string checkedDirectory = System.IO.Path.GetDirectoryName(path)!;
        for (int i = 0; i < Tries; i++)
        {
            if ((TryOpen(path, spec) ?? TryCreate(checkedDirectory, path, spec)) is { } opened) return opened;
            // Its remover takes a moment; one that was stopped right there takes longer, and only it may take the name away.
            if (i > FirstTries) Thread.Sleep(TriesPause);
        }

        throw new IOException(
            $"{path} was being removed, or was created and removed, in each of {Tries} attempts to open it; if its remover is stopped, "
            + $"continue or kill that process, otherwise find what removes it in a loop");
    }

    /// <summary>Removes a segment that no process is attached to.</summary>
    /// <returns><see langword="true"/> if the segment was removed; otherwise, <see langword="false"/>: there is
    /// none.</returns>
    /// <exception cref="IOException">A process is attached.</exception>
    public static bool Remove(string? directory, ChannelName name, SegmentShape shape) =>
        Remove(PathOf(SegmentDirectory.Ensure(directory), name, shape), static (_, _) => null) is { } removal
        && (removal.Objection is null ? true : throw new IOException($"{removal.Objection}; it was not removed"));

    /// <summary>Removes a segment that no process is attached to, unless <paramref name="objection"/> returns a reason
    /// against it. No process can attach while <paramref name="objection"/> inspects the segment.</summary>
    /// <returns>The result, or <see langword="null"/> if there is no segment.</returns>
    public static SegmentRemoval? Remove(string path, Func<SafeFileHandle, FileStatus, string?> objection)
    {
        using SafeFileHandle? file = SegmentStore.TryOpen(path, out FileStatus status);
        if (file is null) return null;
        using ParticipantLocks remover = OpenLocks(file, path);
        if (!remover.TryHoldForRemoval()) return new SegmentRemoval($"{path} is in use");
        if (objection(file, status) is { } reason) return new SegmentRemoval(reason);
        Retire(file, path);
        if (PrivateFiles.Status(file).HasNoName) remover.Discard();
        return new SegmentRemoval(null);
    }

    public void Close()
    {
        Mapping.Unmap();
        if (_file != Locks.File) _file.Dispose();
        // Last: until here others see this participant as alive, so nothing it touched was given away under it.
        Locks.Dispose();
    }

    /// <summary>The plan that a header describes, held against its own sizes.</summary>
    /// <exception cref="CorruptSegmentException">Its numbers do not fit each other.</exception>
    public static SegmentPlan PlanOf(ISegmentSpec spec, in FixedHeader header, string path)
    {
        SegmentPlan plan = spec.PlanOf(header, path);
        return plan.FileSize == header.FileSize && plan.DataOffset == header.DataOffset
            ? plan
            : throw new CorruptSegmentException($"{path}: the header's parts need {plan.FileSize:N0} bytes from {plan.DataOffset:N0}, "
            + $"its size field is {header.FileSize:N0}, its data offset {header.DataOffset:N0}");
    }

    public static string NameOf(SegmentShape shape) => shape switch
    {
        SegmentShape.Stream => "stream",
        SegmentShape.Queue => "queue",
        SegmentShape.Topic => "topic",
        _ => "pool",
    };

    /// <summary>
    /// Whether a segment may have been made before the machine last started. What is in memory was not: a container may
    /// have a boot id of its own, and still share this kernel, its locks and its clocks.
    /// </summary>
    public static bool IsOfAnotherBoot(in FixedHeader header, SafeFileHandle file) =>
        header.BootId != ProcessIdentity.BootId && !PrivateFiles.IsInMemory(file);

    private static SegmentFile? TryOpen(string path, ISegmentSpec spec)
    {
        SafeFileHandle? file = SegmentStore.TryOpen(path, out FileStatus status);
        if (file is null) return null;
        ParticipantLocks? locks = null;
        try
        {
            if (status.Size < SegmentLayout.DataAlignment)
                throw new CorruptSegmentException(
                    $"{path}: {status.Size:N0} bytes cannot be a segment, which has at least {SegmentLayout.DataAlignment:N0}");
            locks = OpenLocks(file, path);
            // The lock comes before the look at state and link count: a remover that has the write lock has not yet retired it, or has.
            if (!locks.TryAttach()) return null;
            Span<byte> bytes = stackalloc byte[SegmentLayout.HeaderBytes];
            if (RandomAccess.Read(file, bytes, 0) < bytes.Length)
                throw new CorruptSegmentException($"{path}: the header could not be read");
            FixedHeader header = SegmentLayout.Read(bytes, status.Size, spec.Shape, path);
            if (PrivateFiles.Status(file).HasNoName)
            {
                locks.Discard();
                return null;
            }

            if (header.State == SegmentLayout.StateRetired)
            {
                // Retired but still named: its remover died in between. Whoever comes next takes the name away.
                locks.Detach();
                RetireIfAlone(file, path, locks);
                return null;
            }

            if (header.State != SegmentLayout.StateReady)
                throw new CorruptSegmentException($"{path}: state is {header.State}, expected {SegmentLayout.StateReady}");
            // A pool is its channel's, which was checked.
            if (spec.Shape != SegmentShape.Pool && IsOfAnotherBoot(header, file) && !ParticipantEntry.IsAnyAlive(file, header, locks))
            {
                RequireNothingPending(file, header, spec, path);
                // Whoever gets the write lock clears it away; everybody tries again.
                locks.Detach();
                if (!locks.TryHoldForRemoval()) return null;
                RequireNothingPending(file, header, spec, path);
                Retire(file, path);
                locks.Discard();
                return null;
            }

            SegmentPlan plan = PlanOf(spec, header, path);
            // A copy made by a tool may have holes, and touching one on a full file system would be a SIGBUS.
            if (status.AllocatedBytes < status.Size) SegmentStore.AllocateHoles(file, plan.FileSize, path);
            var opened = new SegmentFile(file, locks, new SegmentMapping(file, plan.FileSize) { SegmentId = header.Id }, plan, header.Id,
                path);
            file = null;
            locks = null;
            return opened;
        }
        finally
        {
            file?.Dispose();
            locks?.Dispose();
        }
    }

    /// <summary>Makes a file of this size that is no segment: allocated whole, then linked.</summary>
    /// <exception cref="IOException">There is no room for it; the message has the numbers.</exception>
    public static void CreateRaw(string path, long bytes)
    {
        using SafeFileHandle file = SegmentStore.CreateUnnamed(System.IO.Path.GetDirectoryName(path)!);
        SegmentStore.Allocate(file, bytes, path);
        if (!SegmentStore.TryName(file, path))
            throw new IOException($"{path} exists already; only a block of the pool may have that name");
    }

    private static SegmentFile? TryCreate(string directory, string path, ISegmentSpec spec)
    {
        SegmentPlan plan = spec.NewPlan();
        SafeFileHandle? file = SegmentStore.CreateUnnamed(directory);
        ParticipantLocks? locks = null;
        SegmentMapping? mapping = null;
        try
        {
            Guid id = Guid.NewGuid();
            ParticipantLocks.RequireConflicts(file, CompanionPrefix(path, id), directory);
            SegmentStore.Allocate(file, plan.FileSize, path);
            mapping = new SegmentMapping(file, plan.FileSize) { SegmentId = id };
            spec.Initialise(mapping, plan);
            SegmentLayout.Write(plan, id, ProcessIdentity.BootId).CopyTo(mapping.Bytes(0, SegmentLayout.HeaderBytes));
            if (FaultPoints.On) FaultPoints.Reach("create.initialised");
            locks = ParticipantLocks.Open(file, CompanionPrefix(path, id));
            locks.Attach(path);
            if (!SegmentStore.TryName(file, path))
            {
                locks.Discard();
                return null; // another process was quicker: open its file
            }

            if (FaultPoints.On) FaultPoints.Reach("create.linked");
            var created = new SegmentFile(file, locks, mapping, plan, id, path);
            file = null;
            locks = null;
            mapping = null;
            return created;
        }
        finally
        {
            mapping?.Unmap();
            file?.Dispose();
            locks?.Dispose();
        }
    }

    private static void RetireIfAlone(SafeFileHandle file, string path, ParticipantLocks locks)
    {
        if (!locks.TryHoldForRemoval()) return;
        Retire(file, path);
        locks.Discard();
    }

    private static void RequireNothingPending(SafeFileHandle file, in FixedHeader header, ISegmentSpec spec, string path)
    {
        var mapping = new SegmentMapping(file, header.FileSize, writable: false);
        string? pending = spec.PendingWork(mapping, header, path);
        mapping.Unmap();
        if (pending is null) return;
        throw new SegmentMismatchException(
            $"{path} was made under another boot id ({header.BootId}; this is {ProcessIdentity.BootId}), no process here has it open, and "
            + $"it holds {pending}; it was left alone. If it is a container's or a virtual machine's, name another directory in "
            + $"OTTO_SHM_DIR; if it is from before a restart, remove it: otto ipc rm {System.IO.Path.GetFileName(path)}");
    }

    private static void Retire(SafeFileHandle file, string path)
    {
        // A file too short for a state is no segment; it is not made longer.
        if (RandomAccess.GetLength(file) >= SegmentLayout.HeaderBytes)
            RandomAccess.Write(file, BitConverter.GetBytes(SegmentLayout.StateRetired), SegmentLayout.StateOffset);
        if (FaultPoints.On) FaultPoints.Reach("remove.retired");
        // Only the name that still leads to this very file is taken away.
        if (!SegmentStore.IsStillNamed(file, path)) return;
        ILookup<bool, string> companions = CompanionsOf(file, path).ToLookup(ParticipantLocks.IsLockFile);
        foreach (string companion in companions[false]) System.IO.File.Delete(companion);
        SegmentStore.RemoveName(path);
        // Last: a process that has the file open must not take locks anew, and be alone, while the name is still to be removed.
        foreach (string locks in companions[true]) System.IO.File.Delete(locks);
    }

    /// <summary>The files that belong to a segment by its identity, so that none of another one of that name is
    /// touched.</summary>
    private static IEnumerable<string> CompanionsOf(SafeFileHandle file, string path)
    {
        if (IdOf(file) is not { } id) return [];
        string prefix = CompanionPrefix(path, id) + ".";
        return Directory.EnumerateFiles(System.IO.Path.GetDirectoryName(path)!)
            .Where(companion => companion.StartsWith(prefix, StringComparison.Ordinal));
    }

    /// <summary>Opens the locks of a segment that is not mapped, and need not be whole.</summary>
    public static ParticipantLocks OpenLocks(SafeFileHandle file, string path, bool writable = true) =>
        ParticipantLocks.Open(file, CompanionPrefix(path, IdOf(file) ?? Guid.Empty), writable);

    /// <summary>Opens locks of this segment for another holder in this process.</summary>
    public ParticipantLocks OpenLocks() => ParticipantLocks.Open(_file, _companions ??= CompanionPrefix(Path, Id));

    /// <summary>The identity in a header; <see langword="null"/> if the file is too short for one.</summary>
    private static Guid? IdOf(SafeFileHandle file)
    {
        Span<byte> id = stackalloc byte[16];
        return RandomAccess.Read(file, id, SegmentLayout.IdOffset) == id.Length ? new Guid(id, bigEndian: true) : null;
    }

    /// <summary>What the names of files begin with that belong to a segment, before a dot.</summary>
    public static string CompanionPrefix(string path, Guid id) => $"{path}-{id.ToString("N", CultureInfo.InvariantCulture).AsSpan(0, 8)}";
}

/// <summary>What became of a segment that was to be removed.</summary>
/// <param name="Objection">Why the segment was left, or <see langword="null"/> if it was removed.</param>
internal readonly record struct SegmentRemoval(string? Objection);
