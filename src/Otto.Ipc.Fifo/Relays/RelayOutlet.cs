using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Fifo.Paths;
using Otto.Ipc.Fifo.Waiting;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Relays;

// One consumer's FIFO: opened once the consumer reads from it, written to as it reads, and given up when it leaves.

internal sealed class RelayOutlet(string path, FifoRelayOptions options, WakeSignal signal)
{
    private readonly PollerPlace _place = new(signal);
    private int _fd = -1;
    private volatile bool _programEnded;

    public string Path => path;

    /// <summary>How much of what is being passed on the consumer has got.</summary>
    public int Sent { get; set; }

    /// <summary>Whether the consumer reads.</summary>
    public bool IsOpen => _fd >= 0;

    /// <summary>Whether the consumer has left, or was told that nothing more comes.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether the consumer has ended.</summary>
    public bool ProgramEnded
    {
        get => _programEnded;
        set => _programEnded = value;
    }

    /// <summary>Opens the FIFO if the consumer has, and notices that it left.</summary>
    /// <returns>Whether something happened.</returns>
    public bool Look()
    {
        if (HasEnded) return false;
        // Its children may read on, where a side lasts as long as anybody has it open.
        bool left = IsOpen && (PipeCalls.Poll(_fd, 0) & PipeCalls.POLLERR) != 0;
        if (left || (_programEnded && !(options.UntilClosed && IsOpen)))
        {
            Close();
            return true;
        }

        if (IsOpen) return false;
        _fd = FifoFile.TryOpenWriting(path);
        if (!IsOpen) return false;
        PipeCalls.Grow(_fd, options.PipeBytes);
        return true;
    }

    /// <summary>Writes what has room.</summary>
    /// <returns>Whether something happened.</returns>
    public bool Write(ReadOnlySpan<byte> run)
    {
        if (HasEnded || !IsOpen || Sent == run.Length) return false;
        int written = PipeCalls.Write(_fd, run[Sent..]);
        if (written == -Libc.EAGAIN) return false;
        if (written == -PipeCalls.EPIPE)
        {
            Close();
            return true;
        }

        if (written < 0) throw Libc.Failure("write", path, -written);
        Sent += written;
        return true;
    }

    /// <summary>Has the signal set when there is room, or when the consumer leaves, which is always told.</summary>
    public void Arm(bool wantsRoom)
    {
        if (IsOpen) _place.Arm(_fd, wantsRoom ? (uint)PipeCalls.POLLOUT : 0);
    }

    /// <summary>Lets in who waits to open the FIFO after the end, and shows him that there is nothing.</summary>
    public void TurnAway()
    {
        int fd = FifoFile.TryOpenWriting(path);
        if (fd >= 0) _ = Libc.Close(fd);
    }

    public void Close()
    {
        HasEnded = true;
        _place.Leave();
        if (IsOpen) _ = Libc.Close(_fd);
        _fd = -1;
    }
}
