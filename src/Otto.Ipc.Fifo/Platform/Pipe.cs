using Otto.Ipc.Platform;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Fifo.Platform;

/// <summary>What came of reading or writing.</summary>
/// <param name="result">How many bytes, or the negative number of an error.</param>
internal readonly struct PipeTransfer(int result)
{
    /// <summary>How many bytes; negative if it failed.</summary>
    public int Bytes => result;

    public bool Failed => result < 0;

    /// <summary>Whether nothing can be read or written now.</summary>
    public bool WouldBlock => result == -Libc.EAGAIN;

    /// <summary>Whether no process has the pipe open for reading.</summary>
    public bool HasNoReader => result == -PipeCalls.EPIPE;

    /// <summary>Names the call, its object and the reason.</summary>
    public IOException ToException(string call, string what) => Libc.Failure(call, what, -result);
}

/// <summary>One end of a pipe, never blocking. A copy is the same end; its owner closes it once.</summary>
internal readonly record struct Pipe
{
    /// <summary>A write of this many bytes or fewer is never mixed with another's.</summary>
    public const int AtomicBytes = PipeCalls.PipeBuf;

    /// <summary>What one slot of a pipe holds.</summary>
    public const int PageBytes = PipeCalls.PageBytes;

    /// <summary>The settings of the system that bound how large a pipe may grow.</summary>
    public const string SizeLimits = "/proc/sys/fs/pipe-max-size and pipe-user-pages-soft";

    private readonly int _number;

    internal Pipe(int fd) => _number = fd + 1;

    /// <summary>Whether there is one; the default value is none.</summary>
    public bool IsOpen => _number > 0;

    /// <summary>Gets its number, for a caller that waits for it; -1 if there is none.</summary>
    public int Id => _number - 1;

    /// <summary>How many bytes lie in it.</summary>
    public int WaitingBytes => PipeCalls.Waiting(Id);

    /// <summary>Whether the kernel takes something now.</summary>
    public bool IsWritable => CanWrite(out _);

    /// <summary>Whether no process has it open for reading.</summary>
    public bool HasNoReader => (PipeCalls.Poll(Id, 0) & PipeCalls.POLLERR) != 0;

    /// <summary>Whether every process that had it open for writing has closed it; false
    /// before the first came.</summary>
    public bool HasNoWriter => (PipeCalls.Poll(Id, PipeCalls.POLLIN) & PipeCalls.POLLHUP) != 0;

    /// <summary>Whether the kernel takes something now.</summary>
    /// <param name="hasNoReader">Whether no process has it open for reading.</param>
    public bool CanWrite(out bool hasNoReader)
    {
        short ready = PipeCalls.Poll(Id, PipeCalls.POLLOUT);
        hasNoReader = (ready & PipeCalls.POLLERR) != 0;
        return (ready & PipeCalls.POLLOUT) != 0;
    }

    /// <summary>Makes a pipe without a name.</summary>
    public static (Pipe Read, Pipe Write) Make()
    {
        (int read, int write) = PipeCalls.MakePipe();
        return (new Pipe(read), new Pipe(write));
    }

    /// <summary>Opens a destination that discards the bytes moved into it.</summary>
    public static Pipe OpenNowhere()
    {
        int fd = Libc.Open("/dev/null", PipeCalls.O_WRONLY | Libc.O_CLOEXEC, 0);
        return fd >= 0 ? new Pipe(fd) : throw Libc.Failure("open", "/dev/null");
    }

    /// <summary>Asks for a larger pipe, as far as the system allows.</summary>
    /// <returns>How many bytes it holds now.</returns>
    public int Grow(int bytes) => PipeCalls.Grow(Id, bytes);

    /// <summary>Reads what is there; no bytes if it is empty and no process has it open for writing.</summary>
    public PipeTransfer Read(Span<byte> buffer) => new(PipeCalls.Read(Id, buffer));

    /// <summary>Writes what there is room for.</summary>
    public PipeTransfer Write(ReadOnlySpan<byte> bytes) => new(PipeCalls.Write(Id, bytes));

    /// <summary>Writes two runs of bytes as one.</summary>
    public PipeTransfer Write(ReadOnlySpan<byte> first, ReadOnlySpan<byte> second) => new(PipeCalls.Write(Id, first, second));

    /// <summary>Duplicates its contents into another pipe, and removes nothing. Returns no bytes if it is empty and no
    /// process has it open for writing.</summary>
    public PipeTransfer ShowTo(Pipe to, int bytes) => new(PipeCalls.Show(Id, to.Id, bytes));

    /// <summary>Takes bytes out without copying them anywhere but into <paramref name="to"/>.</summary>
    public PipeTransfer MoveTo(Pipe to, int bytes) => new(PipeCalls.Move(Id, to.Id, bytes));

    public void Close()
    {
        if (IsOpen) _ = Libc.Close(Id);
    }
}
