using Otto.Ipc.Fifo.Platform;
using Otto.Ipc.Fifo.Waiting;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Fifo.Relays;

// One consumer's FIFO: opened once the consumer reads from it, written to as it reads, and given up when it leaves.

internal sealed class RelayOutlet(string path, FifoRelayOptions options, WakeSignal signal)
{
    private readonly WaitRegistration _registration = new(signal);
    private Pipe _pipe;
    private volatile bool _programEnded;

    public string Path => path;

    /// <summary>How much of what is being passed on the consumer has got.</summary>
    public int Sent { get; set; }

    /// <summary>Whether the consumer reads.</summary>
    public bool IsOpen => _pipe.IsOpen;

    /// <summary>Whether the consumer has left, or was notified that nothing more comes.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether the consumer has ended.</summary>
    public bool ProgramEnded
    {
        get => _programEnded;
        set => _programEnded = value;
    }

    /// <summary>Opens the FIFO if the consumer has, and notices that it left.</summary>
    /// <returns>Whether something happened.</returns>
    public bool Update()
    {
        if (HasEnded) return false;
        // Its children may read on, where a side lasts as long as anybody has it open.
        bool left = IsOpen && _pipe.HasNoReader;
        if (left || (_programEnded && !(options.UntilClosed && IsOpen)))
        {
            Close();
            return true;
        }

        if (IsOpen) return false;
        _pipe = FifoFile.TryOpenWriting(path);
        if (!IsOpen) return false;
        _pipe.Grow(options.PipeBytes);
        return true;
    }

    /// <summary>Writes what has room.</summary>
    /// <returns>Whether something happened.</returns>
    public bool Write(ReadOnlySpan<byte> run)
    {
        if (HasEnded || !IsOpen || Sent == run.Length) return false;
        PipeTransfer transfer = _pipe.Write(run[Sent..]);
        if (transfer.WouldBlock) return false;
        if (transfer.HasNoReader)
        {
            Close();
            return true;
        }

        if (transfer.Failed) throw transfer.ToException("write", path);
        Sent += transfer.Bytes;
        return true;
    }

    /// <summary>Has the signal set when there is room, or when the consumer leaves, which is always reported.</summary>
    public void Arm(bool wantsRoom)
    {
        if (IsOpen) _registration.Arm(_pipe.Id, wantsRoom ? PollEvents.Writable : PollEvents.None);
    }

    /// <summary>Lets in a program that waits to open the FIFO after the end, and shows it
    /// that there is nothing.</summary>
    public void RejectWaiting() => FifoFile.TryOpenWriting(path).Close();

    public void Close()
    {
        HasEnded = true;
        _registration.Leave();
        _pipe.Close();
        _pipe = default;
    }
}
