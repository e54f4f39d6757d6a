using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform.Linux;
using Otto.Ipc.Platform.Windows;

namespace Otto.Ipc.Platform;

// Which processes are alive: locks beside a segment that the system drops with their holder, however it ended. Callers name roles; how a
// role
// becomes a lock is below. docs/layouts.md has the numbers, since programs in other languages take the same locks.

/// <summary>
/// One holder's locks on a segment. A second holder in the same process is another: its locks and the first one's
/// conflict.
/// </summary>
internal sealed class ParticipantLocks : IDisposable
{
    // Bytes far beyond the end of a segment file.
    private const long AttachByte = (1L << 40) - 1; // shared by all who are attached; exclusive for who removes
    private const long ParticipantByte = 1L << 40; // exclusive for participant n at n; shared for who sweeps it
    private const long RoleByte = (1L << 40) + (1L << 20); // exclusive for the holder of role n at n
    private const long TurnByte = (1L << 40) + (1L << 21); // exclusive, for microseconds

    private readonly SafeFileHandle _file;

    private ParticipantLocks(SafeFileHandle file) => _file = file;

    /// <summary>Makes a holder that holds nothing yet.</summary>
    /// <param name="segment">
    /// The segment's file. It is opened anew, and never mapped through that, since a mapping would outlive the locks.
    /// </param>
    /// <param name="writable">Whether exclusive locks will be taken; probing others' locks needs none.</param>
    public static ParticipantLocks Open(SafeFileHandle segment, bool writable = true) =>
        HostSystem.IsLinux
            ? new ParticipantLocks(RangeLocks.Reopen(segment, writable))
            : throw WindowsPlatform.NotServed("shared memory segments need");

    /// <summary>Marks the holder as attached, which keeps the segment from being removed.</summary>
    /// <returns><see langword="false"/> if another holder is removing the segment.</returns>
    public bool TryAttach() => RangeLocks.TryRead(_file, AttachByte);

    /// <summary>As <see cref="TryAttach"/>, for a segment that no other process can know of yet.</summary>
    public void Attach(string path)
    {
        if (!TryAttach()) throw RangeLocks.Failure(path);
    }

    /// <summary>Ends what <see cref="TryAttach"/> began.</summary>
    public void Detach() => RangeLocks.Release(_file, AttachByte);

    /// <summary>Keeps every process from attaching until this holder is disposed.</summary>
    /// <returns><see langword="false"/> if another holder is attached.</returns>
    public bool TryHoldForRemoval() => RangeLocks.TryWrite(_file, AttachByte);

    /// <summary>Whether another holder is attached, or removes the segment. An error counts as yes.</summary>
    public bool IsAnyoneAttached => !RangeLocks.IsFree(_file, AttachByte);

    /// <summary>Takes the place of a participant, for as long as this holder lives.</summary>
    /// <returns><see langword="false"/> if it is another's, or a process repairs what another left there.</returns>
    public bool TryHoldParticipant(int participant) => RangeLocks.TryWrite(_file, ParticipantByte + participant);

    /// <summary>Gives the place of a participant back.</summary>
    public void ReleaseParticipant(int participant) => RangeLocks.Release(_file, ParticipantByte + participant);

    /// <summary>Whether another holder has the place of a participant. An error counts as
    /// yes. Acquires nothing.</summary>
    public bool IsAlive(int participant) => RangeLocks.IsHeldForWriting(_file, ParticipantByte + participant);

    /// <summary>
    /// Proves that a participant is dead, and keeps its place from being taken until this holder is disposed. Several
    /// may do so at once.
    /// </summary>
    /// <returns><see langword="false"/> if it is alive, or its place was taken again.</returns>
    public bool TryProveDead(int participant) => RangeLocks.TryRead(_file, ParticipantByte + participant);

    /// <summary>Ends what <see cref="TryProveDead"/> began, before the holder is disposed.</summary>
    public void ReleaseProof(int participant) => RangeLocks.Release(_file, ParticipantByte + participant);

    /// <summary>Takes an exclusive role, for as long as this holder lives.</summary>
    /// <returns><see langword="false"/> if another has it.</returns>
    public bool TryHoldRole(int role) => RangeLocks.TryWrite(_file, RoleByte + role);

    /// <summary>Whether another holder has a role. An error counts as yes. Acquires nothing.</summary>
    public bool IsRoleHeld(int role) => !RangeLocks.IsFree(_file, RoleByte + role);

    /// <summary>
    /// Takes the turn: the right of one at a time to look whether a message is there and then to send it.
    /// </summary>
    /// <returns><see langword="false"/> if another has it.</returns>
    public bool TryHoldTurn() => RangeLocks.TryWrite(_file, TurnByte);

    /// <summary>
    /// Drops every lock now: closing alone leaves them with a child that was forked meanwhile and has not yet called
    /// exec.
    /// </summary>
    public void Dispose()
    {
        if (_file.IsClosed) return;
        RangeLocks.ReleaseAll(_file);
        _file.Dispose();
    }

    /// <summary>Refuses a file system whose locks do not work: on such a one every process would look dead.</summary>
    public static void RequireConflicts(SafeFileHandle file, string path)
    {
        using ParticipantLocks one = Open(file), other = Open(file);
        if (!one.TryHoldParticipant(0)) throw RangeLocks.Failure(path);
        bool refused = !other.TryHoldParticipant(0) && RangeLocks.LastRefusalWasConflict;
        if (!refused || RangeLocks.IsFree(other._file, ParticipantByte))
            throw new IOException($"the file system of {path} does not keep open-file-description locks apart; name a directory on "
                + $"tmpfs, ext4 or xfs in OTTO_SHM_DIR");
    }
}
