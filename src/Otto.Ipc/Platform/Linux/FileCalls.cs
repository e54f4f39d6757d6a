using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Otto.Ipc.Platform.Linux;

// Opening, naming, moving and allocating files by the calls that say why they refuse, where .NET throws or takes several steps.

internal static class FileCalls
{
    private const int OwnerOnly = 0x180 /* 0600 */, OwnerOnlyDirectory = 0x1C0 /* 0700 */;
    private const int EFBIG = 27;

    // O_NONBLOCK: opening a FIFO that somebody left there must not hang.
    private static readonly int s_careful = Libc.O_CLOEXEC | Libc.O_NOFOLLOW | Libc.O_NONBLOCK;

    public static SafeFileHandle? TryOpen(string path, FileAccess access, bool append, bool mayCreate, out FileFailure failure) =>
        Open(path, FlagsOf(access, append) | s_careful | (mayCreate ? Libc.O_CREAT : 0), out failure);

    public static SafeFileHandle? TryCreate(string path, FileAccess access, bool append, out FileFailure failure) =>
        Open(path, FlagsOf(access, append) | s_careful | Libc.O_CREAT | Libc.O_EXCL, out failure);

    /// <summary>Makes a file that has no name yet and vanishes with its handle unless it is given one.</summary>
    public static SafeFileHandle? TryCreateUnnamed(string directory, out FileFailure failure) =>
        Open(directory, Libc.O_TMPFILE | Libc.O_RDWR | Libc.O_CLOEXEC, out failure);

    public static FileFailure TryName(SafeFileHandle unnamed, string path)
    {
        string own = $"/proc/self/fd/{(int)unnamed.DangerousGetHandle()}";
        FileFailure failure = Result(Libc.LinkAt(Libc.AT_FDCWD, own, Libc.AT_FDCWD, path, Libc.AT_SYMLINK_FOLLOW));
        GC.KeepAlive(unnamed);
        return failure;
    }

    public static FileFailure TryLink(string existing, string path) => Result(Libc.LinkAt(Libc.AT_FDCWD, existing, Libc.AT_FDCWD, path, 0));

    public static FileFailure TryMove(string from, string to) => Result(Libc.Rename(from, to));

    public static FileFailure TryRemove(string path) => Result(Libc.Unlink(path));

    public static FileFailure TryCreateDirectory(string path) => Result(Libc.MakeDirectory(path, OwnerOnlyDirectory));

    public static FileFailure TryRemoveDirectory(string path) => Result(Libc.RemoveDirectory(path));

    public static FileFailure TryAllocate(SafeFileHandle file, long bytes)
    {
        // The kernel would end the process with a signal.
        if (bytes > Libc.LargestFile) return Failure(EFBIG);
        int error;
        do error = Libc.PosixFallocate((int)file.DangerousGetHandle(), 0, bytes);
        while (error == Libc.EINTR);
        GC.KeepAlive(file);
        return Failure(error);
    }

    public static FileFailure TryFlush(SafeFileHandle file)
    {
        int result;
        do result = Libc.Flush((int)file.DangerousGetHandle());
        while (result != 0 && Marshal.GetLastPInvokeError() == Libc.EINTR);
        GC.KeepAlive(file);
        return Result(result);
    }

    public static FileFailure TryFlushDirectory(string path)
    {
        using SafeFileHandle? directory = Open(path, Libc.O_RDONLY | Libc.O_DIRECTORY | Libc.O_CLOEXEC, out FileFailure failure);
        return directory is null ? failure : TryFlush(directory);
    }

    public static FileFailure TryLock(SafeFileHandle file, bool shared = false)
    {
        int result;
        do result = Libc.Flock((int)file.DangerousGetHandle(), (shared ? Libc.LOCK_SH : Libc.LOCK_EX) | Libc.LOCK_NB);
        while (result != 0 && Marshal.GetLastPInvokeError() == Libc.EINTR);
        GC.KeepAlive(file);
        FileFailure failure = Result(result);
        return failure.Number == Libc.EAGAIN ? failure with { Kind = FileFailureKind.Locked } : failure;
    }

    public static void Unlock(SafeFileHandle file)
    {
        _ = Libc.Flock((int)file.DangerousGetHandle(), Libc.LOCK_UN);
        GC.KeepAlive(file);
    }

    public static FileStatus Status(SafeFileHandle file)
    {
        FileStatus status = Libc.Status((int)file.DangerousGetHandle());
        GC.KeepAlive(file);
        return status;
    }

    public static bool IsInMemory(SafeFileHandle file)
    {
        bool inMemory = Libc.IsInMemory((int)file.DangerousGetHandle());
        GC.KeepAlive(file);
        return inMemory;
    }

    private static SafeFileHandle? Open(string path, int flags, out FileFailure failure)
    {
        int fd;
        do fd = Libc.Open(path, flags, OwnerOnly);
        while (fd < 0 && Marshal.GetLastPInvokeError() == Libc.EINTR);
        failure = fd < 0 ? Failure(Marshal.GetLastPInvokeError()) : default;
        return fd < 0 ? null : new SafeFileHandle(fd, ownsHandle: true);
    }

    private static int FlagsOf(FileAccess access, bool append) => (append ? Libc.O_APPEND : 0) | access switch
    {
        FileAccess.Read => Libc.O_RDONLY,
        FileAccess.Write => Libc.O_WRONLY,
        _ => Libc.O_RDWR,
    };

    private static FileFailure Result(int result) => result == 0 ? default : Failure(Marshal.GetLastPInvokeError());

    private static FileFailure Failure(int error) => new(
        error switch
        {
            0 => FileFailureKind.None,
            Libc.ENOENT or Libc.ENOTDIR => FileFailureKind.NotFound,
            Libc.EEXIST => FileFailureKind.Exists,
            Libc.ELOOP => FileFailureKind.Link,
            Libc.EISDIR => FileFailureKind.Directory,
            Libc.ENOTEMPTY => FileFailureKind.NotEmpty,
            Libc.EACCES => FileFailureKind.Denied,
            Libc.EPERM or Libc.EROFS => FileFailureKind.ReadOnly,
            Libc.ENOSPC => FileFailureKind.Full,
            Libc.EDQUOT => FileFailureKind.Quota,
            EFBIG => FileFailureKind.TooLarge,
            Libc.EOPNOTSUPP => FileFailureKind.Unsupported,
            _ => FileFailureKind.Other,
        },
        error);
}
