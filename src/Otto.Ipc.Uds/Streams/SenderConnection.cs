using System.Buffers.Binary;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Streams;

// A send buffer's way to a receiver: found by name, and left for another when it goes.

/// <summary>The connection of a send buffer, used under its lock.</summary>
/// <param name="path">Where a receiver would listen.</param>
/// <param name="owner">What is called when something happens.</param>
internal sealed class SenderConnection(string path, IWaitHandler owner)
{
    private const int UsualSendBuffer = 212_992;

    private readonly byte[] _receipt = new byte[StreamWire.ReceiptBytes];
    private UnixSocket _socket;
    private int _receiptBytes;
    private long _tag, _acknowledged;

    public bool IsOpen => _socket.IsOpen;

    /// <summary>Whether the kernel took nothing when it was last asked.</summary>
    public bool IsFull { get; private set; }

    /// <summary>Connects to the receiver, if there is one.</summary>
    /// <param name="allowOther">Whether it may be another user's.</param>
    /// <param name="failure">The failure, unless the only reason is that no receiver listens now.</param>
    public bool TryOpen(bool allowOther, out IOException? failure)
    {
        _socket = StreamSocket.TryConnect(path, allowOther, out failure);
        if (!IsOpen) return false;
        try
        {
            _tag = WaitThread.Register(_socket.Id, owner);
        }
        catch (IOException e)
        {
            failure = e;
            _socket.CloseBothWays();
            _socket = default;
            return false;
        }

        _acknowledged = 0;
        _receiptBytes = 0;
        IsFull = false;
        return true;
    }

    /// <summary>Asks the kernel to hold as much as the buffer; never less than what it gives by itself.</summary>
    public void AskForRoom(int capacity)
    {
        if (IsOpen && capacity > UsualSendBuffer / 2) _socket.AskForSendBuffer(capacity * 2);
    }

    /// <summary>Has the owner called when one of these events happens, or the receiver goes.</summary>
    public void Arm(PollEvents events) => WaitThread.Arm(_socket.Id, _tag, events);

    /// <summary>Gives the kernel what it takes.</summary>
    public SocketResult Send(ReadOnlySpan<byte> bytes, out int taken)
    {
        SocketResult result = _socket.Send(bytes, out taken);
        if (result == SocketResult.WouldBlock) IsFull = true;
        return result;
    }

    /// <summary>Asks the kernel again whether it takes something, if it did not.</summary>
    public void CheckFull()
    {
        if (IsFull) IsFull = IsOpen && !_socket.IsWritable;
    }

    /// <summary>Reads the next receipt that has arrived completely.</summary>
    /// <param name="more">How many bytes the receiver has read since the last one.</param>
    public SocketResult ReadReceipt(out long more)
    {
        more = 0;
        while (true)
        {
            SocketResult result = _socket.Receive(_receipt.AsSpan(_receiptBytes), out int received);
            if (result != SocketResult.Done) return result;
            _receiptBytes += received;
            if (_receiptBytes < StreamWire.ReceiptBytes) continue;
            _receiptBytes = 0;
            long read = BinaryPrimitives.ReadInt64LittleEndian(_receipt);
            more = read - _acknowledged;
            _acknowledged = read;
            return SocketResult.Done;
        }
    }

    public void Close()
    {
        if (!IsOpen) return;
        WaitThread.Unregister(_socket.Id, _tag);
        _socket.CloseBothWays();
        _socket = default;
    }
}
