using System.Runtime.InteropServices;
using Otto.Ipc.Platform;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Fifo.Platform;

// The system calls of pipes, as bare as they are: what a result means is decided where it is asked for. Linux, x64 and arm64.

internal static unsafe partial class PipeCalls
{
    public const int O_WRONLY = 1, EPIPE = 32;
    public const short POLLIN = 1, POLLOUT = 4, POLLERR = 8, POLLHUP = 16;

    /// <summary>A write of this many bytes or fewer is never mixed with another's.</summary>
    public const int PipeBuf = 4096;

    /// <summary>What one slot of a pipe holds.</summary>
    public const int PageBytes = 4096;

    private const int SetPipeSize = 1031, GetPipeSize = 1032;
    private const nuint BytesToRead = 0x541B;
    private const uint SpliceNonBlock = 2;

    /// <summary>Makes a FIFO with mode 0600.</summary>
    /// <returns>0, or the error's number.</returns>
    public static int MakeFifo(string path) => MkFifo(path, 0x180) == 0 ? 0 : Marshal.GetLastPInvokeError();

    /// <summary>Makes a pipe without a name: non-blocking, closed in children.</summary>
    public static (int Read, int Write) MakePipe()
    {
        int* ends = stackalloc int[2];
        if (Pipe2(ends, Libc.O_NONBLOCK | Libc.O_CLOEXEC) != 0) throw Libc.Failure("pipe2", "an unnamed pipe");
        return (ends[0], ends[1]);
    }

    /// <summary>How many bytes a pipe holds, in whole pages.</summary>
    public static int Capacity(int fd) => Fcntl(fd, GetPipeSize, 0);

    /// <summary>Asks for a larger pipe, as far as the system allows.</summary>
    /// <returns>What there is now.</returns>
    public static int Grow(int fd, int bytes)
    {
        int now = Capacity(fd);
        return now >= bytes || Fcntl(fd, SetPipeSize, bytes) < 0 ? now : Capacity(fd);
    }

    /// <summary>How many bytes lie in a pipe.</summary>
    public static int Waiting(int fd)
    {
        int bytes = 0;
        return Ioctl(fd, BytesToRead, &bytes) == 0 ? bytes : 0;
    }

    /// <summary>Reads what is there.</summary>
    /// <returns>The number of bytes; 0 if no process has the pipe open for writing; the error's number, negative, if
    /// the call failed.</returns>
    public static int Read(int fd, Span<byte> buffer)
    {
        fixed (byte* at = buffer)
        {
            while (true)
            {
                nint n = ReadFile(fd, at, buffer.Length);
                if (n >= 0) return (int)n;
                int error = Marshal.GetLastPInvokeError();
                if (error != Libc.EINTR) return -error;
            }
        }
    }

    /// <summary>Writes what there is room for.</summary>
    /// <returns>How many bytes, or the error's number, negative.</returns>
    public static int Write(int fd, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* at = bytes)
        {
            while (true)
            {
                nint n = WriteFile(fd, at, bytes.Length);
                if (n >= 0) return (int)n;
                int error = Marshal.GetLastPInvokeError();
                if (error != Libc.EINTR) return -error;
            }
        }
    }

    /// <summary>Writes two runs of bytes as one.</summary>
    /// <returns>How many bytes, or the error's number, negative.</returns>
    public static int Write(int fd, ReadOnlySpan<byte> first, ReadOnlySpan<byte> second)
    {
        fixed (byte* a = first, b = second)
        {
            IoVector* runs = stackalloc IoVector[2] { new(a, first.Length), new(b, second.Length) };
            while (true)
            {
                nint n = WriteVector(fd, runs, 2);
                if (n >= 0) return (int)n;
                int error = Marshal.GetLastPInvokeError();
                if (error != Libc.EINTR) return -error;
            }
        }
    }

    /// <summary>Duplicates the contents of a pipe into another one, and removes nothing.</summary>
    /// <returns>The number of bytes; 0 if the pipe is empty and no process has it open for writing; the error's number,
    /// negative, if the call failed.</returns>
    public static int Show(int from, int to, int bytes) => Moved(tee: true, from, to, bytes);

    /// <summary>Takes bytes out of a pipe without copying them anywhere but into <paramref name="to"/>.</summary>
    /// <returns>How many bytes, or the error's number, negative.</returns>
    public static int Move(int from, int to, int bytes) => Moved(tee: false, from, to, bytes);

    /// <summary>What a descriptor is ready for now.</summary>
    public static short Poll(int fd, short events)
    {
        var entry = new Libc.PollEntry { Descriptor = fd, Events = events };
        return Poll(new Span<Libc.PollEntry>(ref entry), 0) > 0 ? entry.Returned : (short)0;
    }

    /// <summary>Waits until one of the descriptors is ready.</summary>
    /// <param name="entries">Which, and for what.</param>
    /// <param name="milliseconds">How long; -1 to wait indefinitely. May return early.</param>
    /// <returns>The number of descriptors that are ready; 0 if none is, or if a signal came.</returns>
    public static int Poll(Span<Libc.PollEntry> entries, int milliseconds)
    {
        fixed (Libc.PollEntry* at = entries)
        {
            int ready = PollFiles(at, (nuint)entries.Length, milliseconds);
            if (ready >= 0) return ready;
            int error = Marshal.GetLastPInvokeError();
            return error == Libc.EINTR ? 0 : throw Libc.Failure("poll", $"{entries.Length} descriptors", error);
        }
    }

    private static int Moved(bool tee, int from, int to, int bytes)
    {
        while (true)
        {
            nint n = tee ? Tee(from, to, bytes, SpliceNonBlock) : Splice(from, null, to, null, bytes, SpliceNonBlock);
            if (n >= 0) return (int)n;
            int error = Marshal.GetLastPInvokeError();
            if (error != Libc.EINTR) return -error;
        }
    }

    [LibraryImport("libc", EntryPoint = "mkfifo", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int MkFifo(string path, uint mode);

    [LibraryImport("libc", EntryPoint = "pipe2", SetLastError = true)]
    private static partial int Pipe2(int* ends, int flags);

    [LibraryImport("libc", EntryPoint = "fcntl", SetLastError = true)]
    private static partial int Fcntl(int fd, int command, int value);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    private static partial int Ioctl(int fd, nuint request, int* value);

    [LibraryImport("libc", EntryPoint = "read", SetLastError = true)]
    private static partial nint ReadFile(int fd, byte* buffer, nint length);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static partial nint WriteFile(int fd, byte* buffer, nint length);

    [LibraryImport("libc", EntryPoint = "writev", SetLastError = true)]
    private static partial nint WriteVector(int fd, IoVector* runs, int count);

    [LibraryImport("libc", EntryPoint = "tee", SetLastError = true)]
    private static partial nint Tee(int from, int to, nint length, uint flags);

    [LibraryImport("libc", EntryPoint = "splice", SetLastError = true)]
    private static partial nint Splice(int from, long* fromOffset, int to, long* toOffset, nint length, uint flags);

    [LibraryImport("libc", EntryPoint = "poll", SetLastError = true)]
    private static partial int PollFiles(Libc.PollEntry* entries, nuint count, int milliseconds);

    /// <summary>struct iovec.</summary>
    private readonly struct IoVector(byte* start, int length)
    {
        public readonly byte* Start = start;
        public readonly nint Length = length;
    }
}
