using System.Diagnostics;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Regions;

// The writers' lock: one that bash and Python have too. The system drops it with its holder, so it never needs breaking.

internal static class RegionLock
{
    /// <summary>Opens the region, takes its lock and makes sure that the path still leads to the locked file.</summary>
    /// <returns>The locked region, or <see langword="null"/> if there is no region. The lock is released when the file
    /// is disposed.</returns>
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

    /// <summary>Takes the lock if it is free.</summary>
    public static bool TryAcquire(RegionFile file) => FileLock.TryAcquire(file.Handle, file.Path);

    /// <summary>Drops the lock now: closing alone leaves it with a child that was forked
    /// meanwhile and has not yet called exec.</summary>
    public static void Release(RegionFile file) => FileLock.Release(file.Handle);

    private static void Wait(RegionFile file, long start, TimeSpan timeout, CancellationToken cancellationToken)
    {
        if (!FileLock.Acquire(file.Handle, file.Path, start, timeout, cancellationToken))
            throw new TimeoutException($"the region {file.Path} was locked by {FileLock.DescribeHolder(file.Status)} for "
                + $"{timeout.TotalSeconds:0.###} s; nothing was written");
    }
}
