using System.Runtime.InteropServices;

namespace Otto.Ipc.Platform.Linux;

// The system calls that .NET has no API for. Only Linux with glibc, x64 and arm64; callers check Supported first.

internal static unsafe partial class Libc
{
    public const int O_RDONLY = 0, O_RDWR = 2, O_CREAT = 0x40, O_EXCL = 0x80, O_NONBLOCK = 0x800, O_CLOEXEC = 0x80000;
    public static readonly int O_NOFOLLOW = Abi.NoFollow;
    public static readonly int O_DIRECTORY = Abi.OpenDirectory;
    public static readonly int O_TMPFILE = 0x400000 | O_DIRECTORY;

    public const int PROT_READ = 1, PROT_WRITE = 2, MAP_SHARED = 1, MAP_PRIVATE = 2, MAP_FIXED = 0x10, MAP_ANONYMOUS = 0x20,
        MAP_NORESERVE = 0x4000;
    public const int EINTR = 4, ENOENT = 2, EIO = 5, EAGAIN = 11, EACCES = 13, EEXIST = 17, ENOSPC = 28, ELOOP = 40, ENOSYS = 38,
        EOPNOTSUPP = 95, ETIMEDOUT = 110, ENXIO = 6, EISDIR = 21;
    public const int AT_FDCWD = -100, AT_SYMLINK_FOLLOW = 0x400, AT_EMPTY_PATH = 0x1000;
    public const int LOCK_SH = 1, LOCK_EX = 2, LOCK_NB = 4, LOCK_UN = 8;
    public const short F_RDLCK = 0, F_WRLCK = 1, F_UNLCK = 2;
    public const int F_OFD_GETLK = 36, F_OFD_SETLK = 37;

    /// <summary>Whether the numbers in this folder are right for the running system.</summary>
    public static bool Supported => HostSystem.IsLinux;

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    public static partial int Close(int fd);

    [LibraryImport("libc", EntryPoint = "linkat", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int LinkAt(int oldDirectory, string oldPath, int newDirectory, string newPath, int flags);

    [LibraryImport("libc", EntryPoint = "unlink", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Unlink(string path);

    [LibraryImport("libc", EntryPoint = "posix_fallocate")]
    public static partial int PosixFallocate(int fd, long offset, long length);

    [LibraryImport("libc", EntryPoint = "mmap", SetLastError = true)]
    public static partial void* Mmap(void* address, nuint length, int protection, int flags, int fd, long offset);

    [LibraryImport("libc", EntryPoint = "munmap", SetLastError = true)]
    public static partial int Munmap(void* address, nuint length);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    public static partial int Fcntl(int fd, int command, ref FileLock value);

    [LibraryImport("libc", EntryPoint = "flock", SetLastError = true)]
    public static partial int Flock(int fd, int operation);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    public static partial uint GetEuid();

    [LibraryImport("libc", EntryPoint = "getppid")]
    public static partial int GetParentPid();

    [LibraryImport("libc", EntryPoint = "clock_gettime")]
    [SuppressGCTransition]
    public static partial int ClockGetTime(int clock, out TimeSpec now);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int StatX(int directory, string path, int flags, uint mask, out StatXBuffer buffer);

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    public static partial long Syscall(long number, nint a, nint b, nint c, nint d, nint e, nint f);

    /// <summary>What the kernel knows of an open file.</summary>
    public static FileStatus Status(int fd)
    {
        return StatX(fd, "", AT_EMPTY_PATH, 0x7FF, out StatXBuffer s) == 0 ? s.ToStatus() : throw Failure("statx", $"descriptor {fd}");
    }

    /// <summary>
    /// Gets the status of a path, without following a link at its end; <see langword="null"/> if the path does not
    /// exist.
    /// </summary>
    public static FileStatus? Status(string path)
    {
        const int AT_SYMLINK_NOFOLLOW = 0x100;
        if (StatX(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, 0x7FF, out StatXBuffer s) != 0)
            return Marshal.GetLastPInvokeError() is ENOENT or 20 ? null : throw Failure("statx", path);
        return s.ToStatus();
    }

    /// <summary>The last error as an exception that names the call, its object and the reason.</summary>
    public static IOException Failure(string call, string what, int? error = null) =>
        FileFailure.Describe(call, what, error ?? Marshal.GetLastPInvokeError());

    /// <summary>struct timespec of 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct TimeSpec
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary>struct flock of 64-bit Linux.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct FileLock
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Length;
        public int Pid;
    }

    /// <summary>struct statx: the same on every architecture, which struct stat is not.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct StatXBuffer
    {
        [FieldOffset(0x10)] public uint Links;
        [FieldOffset(0x14)] public uint Uid;
        [FieldOffset(0x1C)] public ushort Mode;
        [FieldOffset(0x20)] public ulong Inode;
        [FieldOffset(0x28)] public ulong Size;
        [FieldOffset(0x30)] public ulong Blocks;
        [FieldOffset(0x60)] public long ChangedSeconds;
        [FieldOffset(0x68)] public uint ChangedNanoseconds;
        [FieldOffset(0x70)] public long ModifiedSeconds;
        [FieldOffset(0x78)] public uint ModifiedNanoseconds;
        [FieldOffset(0x88)] public uint DeviceMajor;
        [FieldOffset(0x8C)] public uint DeviceMinor;

        public readonly FileStatus ToStatus() =>
            new(Uid, Mode, Links, (long)Size, (long)Blocks * 512, Inode, ((ulong)DeviceMajor << 32) | DeviceMinor)
        {
            Changed = ChangedSeconds * 1_000_000_000 + ChangedNanoseconds,
            Modified = ModifiedSeconds * 1_000_000_000 + ModifiedNanoseconds,
        };
    }
}
