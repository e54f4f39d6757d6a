namespace Otto.Ipc.Platform.Windows;

// The room for Windows. What is known to fit each contract:
//
//  WaitWord          one auto-reset named event a participant, named from the segment's id; WaitForMultipleObjects takes 64 handles, so
//                    WaitWordSet.Capacity has to come from here. WaitOnAddress reaches one process only.
//  ProcessFence      none: FlushProcessWriteBuffers reaches the calling process alone. Asymmetric stays false, each signaller fences.
//  ParticipantLocks  LockFileEx on the same bytes beyond the end. There is no probe: IsAlive is a shared try-lock of a moment, so two
//                    probes may meet a TryHold, and after a death the lock may be freed late.
//  SegmentStore      a temporary name and a rename without replacing; ReOpenFile in place of a reopened descriptor; a mapped file cannot be
//                    deleted, and Quarantine keeps the mapping, since zeros cannot be laid over a live range in one step.
//  PrivateFiles      the owner and the access list of the user in place of uid and mode.
//  ProcessIdentity   the logon session in place of the pid namespace; a number in a volatile registry key in place of the boot id.
//  FileLock          LockFileEx, which the flock of a shell does not see.
//  DirectoryWatch    FileSystemWatcher.

internal static class WindowsPlatform
{
    /// <summary>The exception for a part that is served on Linux alone so far.</summary>
    /// <param name="need">What cannot be done: "shared memory segments need".</param>
    public static PlatformNotSupportedException NotServed(string need) => new($"{need} Linux on x64 or arm64");
}
