using System.Diagnostics;
using System.Runtime.InteropServices;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Regions;

// The writers' lock: flock, because bash and Python have it too. The kernel drops it with its holder, so it never needs breaking.

internal static class RegionLock
{
    /// <summary>Opens the region, takes its lock and makes sure that the path still leads to the locked file.</summary>
    /// <returns>Null where there is no region. The lock is dropped when the file is disposed.</returns>
    /// <exception cref="TimeoutException">Others held the lock all the time.</exception>
    public static RegionFile? Acquire(string path, TimeSpan timeout, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (RegionFile.TryOpen(path, forWriting: true) is { } file)
        {
            bool keep = false;
            try
            {
                Wait(file, start, timeout, cancellationToken);
                keep = file.IsCurrent();
                if (keep)
                {
                    file.Refresh();
                    return file;
                }
            }
            finally
            {
                if (!keep) file.Dispose();
            }
        }

        return null;
    }

    /// <summary>Takes the lock if nobody has it.</summary>
    public static bool TryAcquire(RegionFile file)
    {
        while (Libc.Flock(file.Descriptor, Libc.LOCK_EX | Libc.LOCK_NB) != 0)
        {
            int error = Marshal.GetLastPInvokeError();
            if (error == Libc.EAGAIN) return false;
            if (error != Libc.EINTR) throw Libc.Failure("flock", file.Path, error);
        }

        return true;
    }

    /// <summary>Drops the lock now: closing alone leaves it with a child that was forked meanwhile and has not yet called exec.</summary>
    public static void Release(RegionFile file) => _ = Libc.Flock(file.Descriptor, Libc.LOCK_UN);

    // flock cannot be given a time limit, nor be cancelled; so it is asked again and again.
    private static void Wait(RegionFile file, long start, TimeSpan timeout, CancellationToken cancellationToken)
    {
        for (int attempt = 0; !TryAcquire(file); attempt++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            if (timeout != Timeout.InfiniteTimeSpan && Stopwatch.GetElapsedTime(start) >= timeout)
                throw new TimeoutException($"the region {file.Path} was locked by {LockHolder.Describe(file.Status)} for {timeout.TotalSeconds:0.###} s; nothing was written");
            LockPause.After(attempt);
        }
    }
}
