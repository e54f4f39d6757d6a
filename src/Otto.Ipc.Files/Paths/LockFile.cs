using System.Diagnostics;
using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Paths;

// A lock that shells have too: flock on a file beside the data, never on the data, which a rename replaces. The kernel drops it with its
// holder, so it never needs breaking; a side lock that is free proves that whoever had it has gone.

/// <summary>A lock on a side file, for one thread at a time.</summary>
internal sealed class LockFile(string path) : IDisposable
{
    private const int MostReplacements = 100;
    private SafeFileHandle? _file;

    public string FilePath => path;

    /// <summary>The side file, while the lock is held.</summary>
    public SafeFileHandle File => _file ?? throw new InvalidOperationException($"the lock {path} is not held");

    /// <summary>Acquires the lock if it is free.</summary>
    public bool TryAcquire()
    {
        for (int i = 0; i < MostReplacements; i++)
        {
            _file ??= PrivateFile.OpenOrCreate(path);
            if (!FileLock.TryAcquire(_file, path)) return false;
            if (PrivateFiles.Status(path) is { } named && named.IsSameFile(PrivateFiles.Status(_file))) return true;
            // Somebody removed the side file: a lock on it keeps nobody out.
            Forget();
        }

        throw new IOException($"{path} was replaced {MostReplacements} times while its lock was being taken");
    }

    /// <summary>Takes the lock, and waits for it.</summary>
    /// <exception cref="TimeoutException">Others held it all the time; the message names one.</exception>
    public void Acquire(TimeSpan timeout)
    {
        long start = Stopwatch.GetTimestamp();
        // flock cannot be given a time limit, so it is asked again and again.
        for (int attempt = 0; !TryAcquire(); attempt++)
        {
            ThrowIfOver(start, timeout);
            LockPause.After(attempt);
        }
    }

    /// <summary>Takes the lock, and waits for it without holding a thread.</summary>
    /// <exception cref="TimeoutException">Others held it all the time; the message names one.</exception>
    public async ValueTask AcquireAsync(TimeSpan timeout, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        for (int attempt = 0; !TryAcquire(); attempt++)
        {
            cancellationToken.ThrowIfCancellationRequested();
            ThrowIfOver(start, timeout);
            await LockPause.AfterAsync(attempt, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Drops the lock now: closing alone leaves it with a child that was forked
    /// meanwhile and has not yet called exec.</summary>
    public void Release()
    {
        if (_file is { } file) FileLock.Release(file);
    }

    public void Dispose()
    {
        Release();
        Forget();
    }

    private void Forget()
    {
        _file?.Dispose();
        _file = null;
    }

    private void ThrowIfOver(long start, TimeSpan timeout)
    {
        if (timeout == Timeout.InfiniteTimeSpan || Stopwatch.GetElapsedTime(start) < timeout) return;
        string holder = _file is { } file ? FileLock.DescribeHolder(PrivateFiles.Status(file)) : "another process";
        throw new TimeoutException($"{path} was locked by {holder} for {timeout.TotalSeconds:0.###} s; nothing was written");
    }
}
