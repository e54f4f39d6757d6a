using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

// The lock that shells have too: flock on a file. The system drops it with its holder, so it never needs breaking. It can neither be
// given a
// time limit nor be cancelled, so it is asked for again and again: LockPause.

internal static class FileLock
{
    /// <summary>Takes the lock of an open file.</summary>
    /// <returns><see langword="false"/> if another has it.</returns>
    public static bool TryAcquire(SafeFileHandle file, string path)
    {
        FileFailure failure = FileCalls.TryLock(file);
        if (!failure.Failed) return true;
        return failure.Kind == FileFailureKind.Locked ? false : throw failure.ToException("flock", path);
    }

    /// <summary>Takes the lock of an open file, and waits for it.</summary>
    /// <param name="file">Which file.</param>
    /// <param name="path">Its path, for messages.</param>
    /// <param name="start">When the waiting began, by <see cref="Stopwatch.GetTimestamp"/>.</param>
    /// <param name="timeout">How long in all; infinite to wait indefinitely.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <returns>
    /// <see langword="false"/> if others held it all the time; <see cref="DescribeHolder"/> names it.
    /// </returns>
    public static bool Acquire(SafeFileHandle file, string path, long start, TimeSpan timeout, CancellationToken cancellationToken)
    {
        for (int attempt = 0; !TryAcquire(file, path); attempt++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (timeout != Timeout.InfiniteTimeSpan && Stopwatch.GetElapsedTime(start) >= timeout) return false;
            LockPause.After(attempt);
        }

        return true;
    }

    /// <summary>Whether another has the lock; an error counts as yes. Takes it for a
    /// moment, shared: two that ask at once do not meet each other.</summary>
    public static bool IsHeld(SafeFileHandle file)
    {
        if (FileCalls.TryLock(file, shared: true).Failed) return true;
        FileCalls.Unlock(file);
        return false;
    }

    /// <summary>Drops the lock now: closing alone leaves it with a child that was forked
    /// meanwhile and has not yet called exec.</summary>
    public static void Release(SafeFileHandle file) => FileCalls.Unlock(file);

    /// <summary>
    /// Names the process that has a file locked, and says if that is stopped or gone; "another process" where it cannot
    /// be known.
    /// </summary>
    public static string DescribeHolder(FileStatus file) => HostSystem.IsLinux ? LockHolder.Describe(file) : "another process";
}
