using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Otto.Tools.Platform;

// Asks the kernel for each feature that the library uses, by a call that changes nothing. A kernel without one and a filter that refuses
// it are different answers: the first needs another kernel, the second another profile of the container.

/// <summary>What the kernel answered to a probe.</summary>
internal enum KernelAnswer
{
    /// <summary>It works.</summary>
    Works,

    /// <summary>The kernel does not have it.</summary>
    Missing,

    /// <summary>Something refuses it, such as a seccomp filter.</summary>
    Refused,
}

/// <summary>Probes of kernel features.</summary>
internal static unsafe partial class KernelProbe
{
    private const int Eperm = 1, Eagain = 11, Eacces = 13, Enosys = 38;
    private const int OpenReadWrite = 2, OpenCloseOnExec = 0x80000;
    private const int GetLock = 36, SetLock = 37;
    private const short WriteLock = 1, Unlocked = 2;
    private const int BootTime = 7;

    private static readonly bool s_arm64 = RuntimeInformation.ProcessArchitecture == Architecture.Arm64;
    private static readonly int s_unnamedFile = 0x400000 | (s_arm64 ? 0x4000 : 0x10000);

    /// <summary>Whether one thread can sleep on many words (futex_waitv, Linux 5.16).</summary>
    public static KernelAnswer WaitVector()
    {
        int word = 1;
        var entry = new WaitEntry { Value = 0, Address = (ulong)&word, Flags = 2 }; // Differs from the word: ends at once.
        return SystemCall(449, (nint)(&entry), 1, 0, 0, 0, 0) == 0 ? KernelAnswer.Works : Answer(Eagain);
    }

    /// <summary>Whether a process can make every other one pass a barrier (membarrier, Linux 4.16).</summary>
    public static KernelAnswer GlobalBarrier()
    {
        long supported = SystemCall(s_arm64 ? 283 : 324, 0, 0, 0, 0, 0, 0);
        return supported < 0 ? Answer() : (supported & 6) == 6 ? KernelAnswer.Works : KernelAnswer.Missing;
    }

    /// <summary>Whether there are files without a directory (memfd_create, Linux 3.17).</summary>
    public static KernelAnswer MemoryFile()
    {
        int made = MakeMemoryFile();
        if (made < 0) return Answer();
        _ = Close(made);
        return KernelAnswer.Works;
    }

    /// <summary>Whether there is a clock that counts while the machine sleeps (Linux 2.6.39).</summary>
    public static KernelAnswer BootClock() => GetTime(BootTime, out _) == 0 ? KernelAnswer.Works : Answer();

    /// <summary>
    /// Whether locks of open files conflict on a file system. Makes a file without a name, which vanishes at once.
    /// </summary>
    /// <param name="directory">Any directory of the file system.</param>
    /// <param name="unnamed">Whether the file system has files without a name.</param>
    public static KernelAnswer FileLocks(string directory, out KernelAnswer unnamed)
    {
        int file = Open(directory, s_unnamedFile | OpenReadWrite | OpenCloseOnExec, 0x180);
        unnamed = file >= 0 ? KernelAnswer.Works : Answer() == KernelAnswer.Refused ? KernelAnswer.Refused : KernelAnswer.Missing;
        if (file < 0) file = MakeMemoryFile();
        if (file < 0) return KernelAnswer.Refused;
        int again = Open(string.Create(System.Globalization.CultureInfo.InvariantCulture, $"/proc/self/fd/{file}"),
            OpenReadWrite | OpenCloseOnExec, 0);
        try
        {
            var taken = new FileLock { Type = WriteLock, Start = 1L << 40, Length = 1 };
            if (again < 0 || Control(file, SetLock, ref taken) != 0) return Answer();
            var probe = new FileLock { Type = WriteLock, Start = 1L << 40, Length = 1 };
            if (Control(again, GetLock, ref probe) != 0) return Answer();
            return probe.Type == Unlocked ? KernelAnswer.Missing : KernelAnswer.Works;
        }
        finally
        {
            if (again >= 0) _ = Close(again);
            _ = Close(file);
        }
    }

    /// <summary>Whether there are Unix-domain sockets.</summary>
    public static KernelAnswer UnixSockets()
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
            return KernelAnswer.Works;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode == SocketError.AccessDenied ? KernelAnswer.Refused : KernelAnswer.Missing;
        }
    }

    /// <summary>Whether directories can be watched. The kernel bounds the watchers of a user.</summary>
    public static KernelAnswer DirectoryWatches()
    {
        int made = MakeWatcher(OpenCloseOnExec);
        if (made < 0) return Answer();
        _ = Close(made);
        return KernelAnswer.Works;
    }

    /// <summary>Gets whether this user may make files in a directory.</summary>
    public static bool MayWrite(string directory) => MayAccess(directory, 3) == 0;

    /// <summary>Gets the effective user.</summary>
    public static uint UserNumber => GetUser();

    /// <summary>Gets the room of the file system of a path; <see langword="null"/> if it is not known.</summary>
    public static FileSystemRoom? RoomOf(string path) => GetRoom(path, out Room room) != 0 ? null
        : new FileSystemRoom((long)(room.Blocks * room.FragmentBytes), (long)(room.AvailableBlocks * room.FragmentBytes),
            (long)room.Files, (long)room.FreeFiles);

    /// <summary>Gets owner and mode of a path, without following a link.</summary>
    /// <returns><see langword="null"/> if there is nothing.</returns>
    public static PathStatus? StatusOf(string path)
    {
        const int CurrentDirectory = -100, NoFollow = 0x100;
        return GetStatus(CurrentDirectory, path, NoFollow, 0x7FF, out Status status) == 0
            ? new PathStatus(status.Owner, status.Mode & 0xFFF, (PathKind)(status.Mode >> 12)) : null;
    }

    private static KernelAnswer Answer(int expected = 0)
    {
        int error = Marshal.GetLastPInvokeError();
        return error == expected ? KernelAnswer.Works : error is Eperm or Eacces ? KernelAnswer.Refused
            : error == Enosys ? KernelAnswer.Missing : KernelAnswer.Refused;
    }

    private static int MakeMemoryFile()
    {
        fixed (byte* name = "otto-doctor\0"u8) return (int)SystemCall(s_arm64 ? 279 : 319, (nint)name, 1, 0, 0, 0, 0);
    }

    [LibraryImport("libc", EntryPoint = "syscall", SetLastError = true)]
    private static partial long SystemCall(long number, nint a, nint b, nint c, nint d, nint e, nint f);

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "close", SetLastError = true)]
    private static partial int Close(int file);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Control(int file, int command, ref FileLock value);

    [LibraryImport("libc", EntryPoint = "clock_gettime", SetLastError = true)]
    private static partial int GetTime(int clock, out TimeParts now);

    [LibraryImport("libc", EntryPoint = "inotify_init1", SetLastError = true)]
    private static partial int MakeWatcher(int flags);

    [LibraryImport("libc", EntryPoint = "access", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MayAccess(string path, int mode);

    [LibraryImport("libc", EntryPoint = "geteuid")]
    private static partial uint GetUser();

    [LibraryImport("libc", EntryPoint = "statvfs", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetRoom(string path, out Room room);

    [LibraryImport("libc", EntryPoint = "statx", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int GetStatus(int directory, string path, int flags, uint mask, out Status status);

    [StructLayout(LayoutKind.Sequential)]
    private struct WaitEntry
    {
        public ulong Value;
        public ulong Address;
        public uint Flags;
        public uint Reserved;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct FileLock
    {
        public short Type;
        public short Whence;
        public long Start;
        public long Length;
        public int Pid;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct TimeParts
    {
        public long Seconds;
        public long Nanoseconds;
    }

    /// <summary>struct statvfs of 64-bit glibc.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 112)]
    private struct Room
    {
        public ulong BlockBytes;
        public ulong FragmentBytes;
        public ulong Blocks;
        public ulong FreeBlocks;
        public ulong AvailableBlocks;
        public ulong Files;
        public ulong FreeFiles;
    }

    /// <summary>struct statx.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Status
    {
        [FieldOffset(0x14)] public uint Owner;
        [FieldOffset(0x1C)] public ushort Mode;
    }
}

/// <summary>The size of a file system.</summary>
/// <param name="Bytes">How much it can hold.</param>
/// <param name="FreeBytes">How much of it this user can still have.</param>
/// <param name="Files">How many files it can hold; 0 if it has no limit.</param>
/// <param name="FreeFiles">How many more.</param>
internal sealed record FileSystemRoom(long Bytes, long FreeBytes, long Files, long FreeFiles);

/// <summary>What is at a path.</summary>
internal sealed record PathStatus(uint Owner, int Permissions, PathKind Kind);

/// <summary>The kind of what is at a path, by the system's numbers.</summary>
internal enum PathKind
{
    /// <summary>A FIFO.</summary>
    Fifo = 1,

    /// <summary>A directory.</summary>
    Directory = 4,

    /// <summary>A regular file.</summary>
    File = 8,

    /// <summary>A symbolic link.</summary>
    Link = 10,

    /// <summary>A socket.</summary>
    Socket = 12,
}
