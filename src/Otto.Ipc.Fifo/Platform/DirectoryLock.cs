using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Platform;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Fifo.Platform;

/// <summary>The lock of a directory, held as long as its owner lives.</summary>
internal sealed class DirectoryLock : IDisposable
{
    private readonly SafeFileHandle _directory;

    private DirectoryLock(SafeFileHandle directory) => _directory = directory;

    /// <summary>Takes the lock of a directory.</summary>
    /// <returns><see langword="null"/> if another has it, or there is no directory.</returns>
    public static DirectoryLock? TryAcquire(string path)
    {
        int fd = Libc.Open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0);
        if (fd < 0) return null;
        var directory = new SafeFileHandle(fd, ownsHandle: true);
        if (Libc.Flock(fd, Libc.LOCK_EX | Libc.LOCK_NB) == 0) return new DirectoryLock(directory);
        directory.Dispose();
        return null;
    }

    /// <summary>Whether the path still leads to the directory that is locked.</summary>
    public bool IsStillNamed(string path) =>
        PrivateFiles.Status(path) is { } status && status.Inode == PrivateFiles.Status(_directory).Inode;

    public void Dispose() => _directory.Dispose();
}
