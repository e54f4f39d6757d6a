using System.Buffers.Binary;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Streams;

// One sender's connection at the receiver: bytes as they come, frames as they are whole, and receipts for what was read.

/// <summary>One sender as the receiver sees it.</summary>
/// <param name="socket">Its connection.</param>
/// <param name="tag">What names it.</param>
/// <param name="begin">Called where a sender begins: the first of the connection, or
/// another after the last one completed.</param>
internal sealed class InboundConnection(UnixSocket socket, long tag, Action<InboundConnection> begin)
{
    // A receipt goes out for so many bytes or messages, and whenever the receiver finds nothing to read.
    private const int BytesOfReceipt = 8 << 10, MessagesOfReceipt = 64, LeastRoom = 4 << 10;

    private byte[] _bytes = new byte[16 << 10];
    private int _start, _end;
    private long _read, _acknowledged;
    private int _messages;

    public UnixSocket Socket { get; } = socket;

    public long Tag { get; } = tag;

    /// <summary>
    /// Whether the other end has identified itself as a sender. Until then, the other end is unknown, and the
    /// connection does not count.
    /// </summary>
    public bool HasBegun { get; private set; }

    /// <summary>Whether its sender said that no more will come.</summary>
    public bool IsCompleted { get; private set; }

    /// <summary>Whether its sender has gone.</summary>
    public bool HasEnded { get; private set; }

    /// <summary>Whether another sender has taken its place.</summary>
    public bool IsSucceeded { get; set; }

    /// <summary>Whether its sender is not there any more, though what it sent may not have been received yet.</summary>
    public bool HasPeerLeft => HasEnded || Socket.HasHungUp;

    /// <summary>Gets the next message if it has arrived completely.</summary>
    /// <param name="message">Its bytes, untouched until it is consumed.</param>
    public bool TryPeek(out ReadOnlySpan<byte> message)
    {
        message = default;
        while (_end - _start >= StreamWire.HeaderBytes)
        {
            if (!StreamWire.TryReadHeader(_bytes.AsSpan(_start), out FrameType type, out int length)
                || (!HasBegun && type != FrameType.Open))
            {
                // Whoever sent this does not speak the stream's language; nothing more of it can be understood.
                HasEnded = true;
                _end = _start;
                return false;
            }

            if (type == FrameType.Message)
            {
                if (_end - _start < StreamWire.HeaderBytes + length) return false;
                message = _bytes.AsSpan(_start + StreamWire.HeaderBytes, length);
                return true;
            }

            bool begins = type == FrameType.Open && (IsCompleted || !HasBegun);
            HasBegun = true;
            IsCompleted = type == FrameType.Complete;
            Consume(0);
            if (begins) begin(this);
        }

        return false;
    }

    /// <summary>Counts the next frame as read.</summary>
    /// <param name="length">How long its message is.</param>
    public void Consume(int length)
    {
        int frame = StreamWire.HeaderBytes + length;
        _start += frame;
        _read += frame;
        _messages++;
        if (_start == _end) _start = _end = 0;
        if (_read - _acknowledged >= BytesOfReceipt || _messages >= MessagesOfReceipt) Acknowledge();
    }

    /// <summary>Receives what there is, unless a message waits already.</summary>
    public void Receive()
    {
        while (!HasEnded && !TryPeek(out _))
        {
            MakeRoom();
            SocketResult result = Socket.Receive(_bytes.AsSpan(_end), out int received);
            if (result == SocketResult.WouldBlock) return;
            _end += received;
            if (result == SocketResult.Ended) HasEnded = true;
        }
    }

    /// <summary>Sends the sender a receipt for what was read, if it has none yet.</summary>
    public void Acknowledge()
    {
        if (_acknowledged == _read || HasEnded) return;
        Span<byte> receipt = stackalloc byte[StreamWire.ReceiptBytes];
        BinaryPrimitives.WriteInt64LittleEndian(receipt, _read);
        // If the kernel takes nothing, the next receipt says it all.
        Socket.Send(receipt, out int sent);
        if (sent != receipt.Length) return;
        _acknowledged = _read;
        _messages = 0;
    }

    private void MakeRoom()
    {
        if (_bytes.Length - _end >= LeastRoom) return;
        int wanted = _end - _start;
        if (wanted >= StreamWire.HeaderBytes)
            wanted = Math.Max(wanted, StreamWire.HeaderBytes + BinaryPrimitives.ReadInt32LittleEndian(_bytes.AsSpan(_start)));
        byte[] bytes = wanted + LeastRoom <= _bytes.Length ? _bytes : new byte[Math.Max(_bytes.Length * 2, wanted + LeastRoom)];
        _bytes.AsSpan(_start, _end - _start).CopyTo(bytes);
        _bytes = bytes;
        _end -= _start;
        _start = 0;
    }
}
