using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform.Linux;
using Otto.Ipc.Platform.Portable;
using Otto.Ipc.Platform.Windows;

namespace Otto.Ipc.Platform;

// Which processes are alive: locks beside a segment that the system drops with their holder, however it ended. Callers name roles; how a
// role becomes a lock is below. docs/layouts.md has the numbers, since programs in other languages take the same locks.

/// <summary>
/// One holder's locks on a segment. A second holder in the same process is another: its locks and the first one's
/// conflict.
/// </summary>
internal sealed class ParticipantLocks : IDisposable
{
    // On Linux bytes far beyond the end of a segment file, elsewhere files beside it.
    private const long AttachLock = (1L << 40) - 1; // shared by all who are attached; exclusive for who removes
    private const long ParticipantLock = 1L << 40; // exclusive for participant n at n; shared for who sweeps it
    private const long RoleLock = (1L << 40) + (1L << 20); // exclusive for the holder of role n at n
    private const long TurnLock = (1L << 40) + (1L << 21); // exclusive, for microseconds

    private readonly SafeFileHandle? _file;
    private readonly LockFiles? _files;

    private ParticipantLocks(SafeFileHandle file) => _file = file;

    private ParticipantLocks(LockFiles files) => _files = files;

    /// <summary>Makes a holder that holds nothing yet.</summary>
    /// <param name="segment">
    /// The segment's file. It is opened anew, and never mapped through that, since a mapping would outlive the locks.
    /// </param>
    /// <param name="companions">
    /// What the names of files that belong to the segment begin with: its path with its identity. The portable part has
    /// its locks there; who removes the segment removes them with it.
    /// </param>
    /// <param name="writable">Whether exclusive locks will be taken; probing others' locks needs none.</param>
    public static ParticipantLocks Open(SafeFileHandle segment, string companions, bool writable = true) =>
        HostSystem.UsesLinux ? new ParticipantLocks(RangeLocks.Reopen(segment, writable))
        : SegmentStore.IsSupported ? new ParticipantLocks(new LockFiles(companions))
        : throw WindowsPlatform.NotServed("shared memory segments need");

    /// <summary>The segment's file as the locks have it open; <see langword="null"/> if they are files beside
    /// it.</summary>
    public SafeFileHandle? File => _file;

    /// <summary>Marks the holder as attached, which keeps the segment from being removed.</summary>
    /// <returns><see langword="false"/> if another holder is removing the segment.</returns>
    public bool TryAttach() => TryRead(AttachLock);

    /// <summary>As <see cref="TryAttach"/>, for a segment that no other process can know of yet.</summary>
    public void Attach(string path)
    {
        if (!TryAttach()) throw Refusal(path);
    }

    /// <summary>Ends what <see cref="TryAttach"/> began.</summary>
    public void Detach() => Release(AttachLock);

    /// <summary>Keeps every process from attaching until this holder is disposed.</summary>
    /// <returns><see langword="false"/> if another holder is attached.</returns>
    public bool TryHoldForRemoval() => TryWrite(AttachLock);

    /// <summary>Whether another holder is attached, or removes the segment. An error counts as yes.</summary>
    public bool IsAnyoneAttached => !IsFree(AttachLock);

    /// <summary>Takes the place of a participant, for as long as this holder lives.</summary>
    /// <returns><see langword="false"/> if it is another's, or a process repairs what another left there.</returns>
    public bool TryHoldParticipant(int participant) => TryWrite(ParticipantLock + participant);

    /// <summary>Gives the place of a participant back.</summary>
    public void ReleaseParticipant(int participant) => Release(ParticipantLock + participant);

    /// <summary>Whether another holder has the place of a participant. An error counts as
    /// yes. Acquires nothing.</summary>
    public bool IsAlive(int participant) => IsHeldForWriting(ParticipantLock + participant);

    /// <summary>
    /// Proves that a participant is dead, and keeps its place from being taken until this holder is disposed. Several
    /// may do so at once.
    /// </summary>
    /// <returns><see langword="false"/> if it is alive, or its place was taken again.</returns>
    public bool TryProveDead(int participant) => TryRead(ParticipantLock + participant);

    /// <summary>Ends what <see cref="TryProveDead"/> began, before the holder is disposed.</summary>
    public void ReleaseProof(int participant) => Release(ParticipantLock + participant);

    /// <summary>Takes an exclusive role, for as long as this holder lives.</summary>
    /// <returns><see langword="false"/> if another has it.</returns>
    public bool TryHoldRole(int role) => TryWrite(RoleLock + role);

    /// <summary>Whether another holder has a role. An error counts as yes. Acquires nothing.</summary>
    public bool IsRoleHeld(int role) => !IsFree(RoleLock + role);

    /// <summary>
    /// Takes the turn: the right of one at a time to look whether a message is there and then to send it.
    /// </summary>
    /// <returns><see langword="false"/> if another has it.</returns>
    public bool TryHoldTurn() => TryWrite(TurnLock);

    /// <summary>
    /// Drops every lock now: closing alone leaves them with a child that was forked meanwhile and has not yet called
    /// exec.
    /// </summary>
    public void Dispose()
    {
        _files?.Dispose();
        if (_file is not { IsClosed: false }) return;
        RangeLocks.ReleaseAll(_file);
        _file.Dispose();
    }

    /// <summary>Whether a file beside a segment is a lock of the portable part.</summary>
    public static bool IsLockFile(string path) => LockFiles.IsLockFile(path);

    /// <summary>Ends the locks of a segment that no process can reach by its name, with
    /// what they left beside it.</summary>
    public void Discard()
    {
        _files?.Discard();
        Dispose();
    }

    /// <summary>Refuses a file system whose locks do not work: on such a one every process would look dead.</summary>
    /// <param name="file">A file in the directory.</param>
    /// <param name="companions">As for <see cref="Open"/>; no other process may use it.</param>
    /// <param name="path">The directory, for messages.</param>
    public static void RequireConflicts(SafeFileHandle file, string companions, string path)
    {
        using ParticipantLocks one = Open(file, companions), other = Open(file, companions);
        if (!one.TryHoldParticipant(0)) throw one.Refusal(path);
        bool refused = !other.TryHoldParticipant(0) && (other._files is not null || RangeLocks.LastRefusalWasConflict);
        bool apart = refused && !other.IsFree(ParticipantLock);
        one.Discard();
        if (!apart)
            throw new IOException($"the file system of {path} does not keep {(one._files is null ? "open-file-description" : "file")} "
                + "locks apart; name a directory on tmpfs, ext4 or xfs in OTTO_SHM_DIR");
    }

    private bool TryWrite(long number) => _files?.TryWrite(number) ?? RangeLocks.TryWrite(_file!, number);

    private bool TryRead(long number) => _files?.TryRead(number) ?? RangeLocks.TryRead(_file!, number);

    private void Release(long number)
    {
        if (_files is not null) _files.Release(number);
        else RangeLocks.Release(_file!, number);
    }

    private bool IsFree(long number) => _files?.IsFree(number) ?? RangeLocks.IsFree(_file!, number);

    private bool IsHeldForWriting(long number) => _files?.IsHeldForWriting(number) ?? RangeLocks.IsHeldForWriting(_file!, number);

    private IOException Refusal(string path) =>
        _files is null ? RangeLocks.Failure(path)
        : new IOException($"a lock beside {path} could not be taken although no other process has it");
}
