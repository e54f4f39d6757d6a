using System.Runtime.InteropServices;

namespace Otto.Ipc.Platform.Linux;

// Names in directories. .NET has these too, but as several calls, or with an exception where losing a race is an ordinary answer.

internal static unsafe partial class Libc
{
    private const long MemoryFileSystem = 0x0102_1994, RamFileSystem = 0x8584_58F6;

    [LibraryImport("libc", EntryPoint = "fstatfs", SetLastError = true)]
    private static partial int StatFileSystem(int fd, long* buffer);

    /// <summary>Whether an open file lives in memory alone: in tmpfs or ramfs.</summary>
    public static bool IsInMemory(int fd)
    {
        long* buffer = stackalloc long[32]; // struct statfs of 64-bit Linux has 120 bytes, and begins with the type
        return StatFileSystem(fd, buffer) == 0 && buffer[0] is MemoryFileSystem or RamFileSystem;
    }

    private const int FileSizeResource = 1; // RLIMIT_FSIZE

    [LibraryImport("libc", EntryPoint = "getrlimit", SetLastError = true)]
    private static partial int GetLimit(int resource, ulong* limits);

    /// <summary>How large a file this process may make; <see cref="long.MaxValue"/> for no limit.</summary>
    public static long LargestFile
    {
        get
        {
            ulong* limits = stackalloc ulong[2]; // struct rlimit: the one that holds, and the one that it may be raised to
            return GetLimit(FileSizeResource, limits) == 0 ? (long)Math.Min(limits[0], long.MaxValue) : long.MaxValue;
        }
    }

    public const int O_WRONLY = 1, O_APPEND = 0x400;
    public const int EPERM = 1, ENOTDIR = 20, EROFS = 30, ENOTEMPTY = 39, EDQUOT = 122;
    public const uint IN_CLOSE_WRITE = 0x8, IN_MOVED_FROM = 0x40, IN_MOVED_TO = 0x80, IN_CREATE = 0x100, IN_DELETE = 0x200;
    public const uint IN_Q_OVERFLOW = 0x4000, IN_ONLYDIR = 0x0100_0000, IN_DONT_FOLLOW = 0x0200_0000, IN_ONESHOT = 0x8000_0000;

    /// <summary>Moves a name over another in one step: a process that opens it gets the old
    /// file or the new one.</summary>
    [LibraryImport("libc", EntryPoint = "rename", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int Rename(string from, string to);

    [LibraryImport("libc", EntryPoint = "mkdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int MakeDirectory(string path, int mode);

    [LibraryImport("libc", EntryPoint = "rmdir", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    public static partial int RemoveDirectory(string path);

    [LibraryImport("libc", EntryPoint = "fsync", SetLastError = true)]
    public static partial int Flush(int fd);

    /// <summary>struct inotify_event, before its name.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct WatchEvent
    {
        public int Watch;
        public uint Mask;
        public uint Cookie;
        public uint NameBytes;
    }
}
