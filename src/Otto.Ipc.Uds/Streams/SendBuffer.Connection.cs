using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Endpoints;

namespace Otto.Ipc.Uds.Streams;

// The lane's way to a receiver: found by name, told everything that was not read, and left for another when it goes.

internal sealed partial class SendBuffer
{
    private const int UsualSendBuffer = 212_992;

    private void Connect()
    {
        _descriptor = StreamSocket.TryConnect(Path, _allowOther, out IOException? failure);
        try
        {
            if (_descriptor >= 0) _tag = IoThread.Know(_descriptor, this);
        }
        catch (IOException e)
        {
            failure = e;
            if (_descriptor >= 0) StreamSocket.Close(_descriptor);
            _descriptor = -1;
        }

        _failure = failure;
        if (_descriptor < 0) return;
        AskForRoom();
        _sent = _start;
        _readThere = 0;
        _receiptBytes = 0;
        _kernelIsFull = false;
        _pause = ShortestPause;
        // What the last receiver was told, this one was not.
        bool completes = _start == _end && IsCompleted;
        Begin();
        if (completes) Append(FrameType.Complete, default);
        Push();
    }

    /// <summary>Puts the frame first by which a receiver knows a sender: the one that began this lane may have been read by another.</summary>
    private void Begin()
    {
        if (_start == _end)
        {
            Append(FrameType.Open, default);
            return;
        }

        if (StreamWire.TryReadHeader(_bytes.AsSpan(_start), out FrameType first, out _) && first == FrameType.Open) return;
        if (_start < StreamWire.HeaderBytes)
        {
            byte[] bytes = _bytes.Length - _end + _start >= StreamWire.HeaderBytes ? _bytes : new byte[_bytes.Length + StreamWire.HeaderBytes];
            Move(bytes, StreamWire.HeaderBytes);
        }

        _start -= StreamWire.HeaderBytes;
        _sent = _start;
        StreamWire.WriteHeader(_bytes.AsSpan(_start), FrameType.Open, 0);
    }

    /// <summary>Asks the kernel to hold as much as this sender may; never less than what it gives by itself.</summary>
    private void AskForRoom()
    {
        if (_descriptor >= 0 && _capacity > UsualSendBuffer / 2) Libc.AskForSendBuffer(_descriptor, _capacity * 2);
    }

    private void Disconnect()
    {
        if (_descriptor < 0) return;
        IoThread.Forget(_descriptor, _tag);
        StreamSocket.Close(_descriptor);
        _descriptor = -1;
        // The next receiver gets all that this one did not read.
        _sent = _start;
        Changed();
    }

    private unsafe void Push()
    {
        while (_descriptor >= 0 && _sent < _end)
        {
            nint taken;
            fixed (byte* bytes = &_bytes[_sent]) taken = Libc.Send(_descriptor, bytes, _end - _sent, Libc.MSG_NOSIGNAL);
            if (taken >= 0)
            {
                _sent += (int)taken;
                continue;
            }

            int error = Marshal.GetLastPInvokeError();
            if (error == Libc.EINTR) continue;
            if (error == Libc.EAGAIN)
            {
                _kernelIsFull = true;
                return;
            }

            ReadReceipts();
            Disconnect();
        }
    }

    private unsafe void ReadReceipts()
    {
        while (_descriptor >= 0)
        {
            nint received;
            fixed (byte* bytes = &_receipt[_receiptBytes]) received = Libc.Receive(_descriptor, bytes, StreamWire.ReceiptBytes - _receiptBytes, 0);
            if (received > 0)
            {
                _receiptBytes += (int)received;
                if (_receiptBytes == StreamWire.ReceiptBytes) TakeReceipt();
                continue;
            }

            int error = received < 0 ? Marshal.GetLastPInvokeError() : 0;
            if (error == Libc.EAGAIN) return;
            if (error != Libc.EINTR) Disconnect();
        }
    }

    private void TakeReceipt()
    {
        _receiptBytes = 0;
        long read = BinaryPrimitives.ReadInt64LittleEndian(_receipt), more = read - _readThere;
        if (more < 0 || more > _sent - _start)
        {
            Disconnect();
            return;
        }

        _readThere = read;
        _start += (int)more;
        if (_start == _end) _start = _sent = _end = _lastFrame = 0;
        if (more > 0) Changed();
    }

    private bool IsWritable()
    {
        var entry = new Libc.PollEntry { Descriptor = _descriptor, Events = (short)Libc.EPOLLOUT };
        return Libc.Poll(ref entry, 1, 0) > 0;
    }
}
