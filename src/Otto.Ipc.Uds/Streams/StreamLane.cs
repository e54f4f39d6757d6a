using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Otto.Ipc.Native;
using Otto.Ipc.Uds.Ends;

namespace Otto.Ipc.Uds.Streams;

// A lane keeps a sender's messages until the receiver says that it has read them: a receiver that goes leaves them to its successor, and a sender that is
// disposed leaves its lane behind until all was read. What a receiver can read is what the kernel has taken, so a message counts as sent when it has.

/// <summary>One sender's place in a stream, in this process. Safe for any number of threads.</summary>
internal sealed class StreamLane(string path, int capacity) : IPumped
{
    private const int ShortestPause = 10, LongestPause = 320, UsualSendBuffer = 212_992;

    private readonly Lock _gate = new();
    private readonly byte[] _receipt = new byte[StreamWire.ReceiptBytes];
    private TaskCompletionSource? _change;

    // From start to end lies what was not read; up to sent, what the kernel has taken on this connection.
    private byte[] _bytes = [];
    private int _start, _sent, _end;
    private int _lastFrame;
    private int _descriptor = -1, _receiptBytes;
    private long _tag, _readThere;
    private bool _kernelIsFull;
    private int _pause = ShortestPause;

    public string Path { get; } = path;

    /// <summary>Whether a sender has it.</summary>
    public bool IsHeld { get; private set; }

    /// <summary>Whether its last sender said that no more will come.</summary>
    public bool IsCompleted { get; private set; }

    /// <summary>Whether nothing is left to be done: nobody has it, and all was read.</summary>
    public bool IsFinished
    {
        get
        {
            lock (_gate) return !IsHeld && _start == _end;
        }
    }

    /// <summary>Whether all that says something is on its way: a receiver that has a connection reads it, whether or not this process is still there.</summary>
    public bool IsDelivered
    {
        get
        {
            lock (_gate)
            {
                if (_descriptor >= 0) Push();
                return _descriptor >= 0 ? _sent == _end
                    : _start == _end || (_lastFrame == _start && StreamWire.TryReadHeader(_bytes.AsSpan(_start, _end - _start), out FrameType only, out _) && only == FrameType.Open);
            }
        }
    }

    /// <summary>Gives it to a sender.</summary>
    public void Hold()
    {
        lock (_gate)
        {
            IsHeld = true;
            IsCompleted = false;
            AppendControl(FrameType.Open);
            if (_descriptor < 0) Connect();
            else Push();
            LookAfter();
        }
    }

    /// <summary>Its sender has gone; what was not read stays.</summary>
    public void LetGo()
    {
        lock (_gate)
        {
            IsHeld = false;
            ReadReceipts();
            LookAfter();
        }

        StreamLanes.RemoveIfFinished(this);
    }

    public void Complete()
    {
        lock (_gate)
        {
            IsCompleted = true;
            AppendControl(FrameType.Complete);
            Push();
            LookAfter();
        }
    }

    /// <summary>Whether a message of so many bytes has room.</summary>
    public bool HasRoom(int bytes)
    {
        lock (_gate)
        {
            int frame = StreamWire.HeaderBytes + bytes;
            if (_end - _start + frame > capacity) ReadReceipts();
            if (_descriptor >= 0) Push();
            if (_kernelIsFull) _kernelIsFull = _descriptor >= 0 && !IsWritable();
            bool room = _end - _start + frame <= capacity && (_descriptor < 0 || (_sent == _end && !_kernelIsFull));
            if (!room) LookAfter();
            return room;
        }
    }

    /// <summary>Sends a message if there is room.</summary>
    /// <param name="message">The message.</param>
    /// <param name="reserved">Whether its room was reserved before: then it is kept where the kernel takes nothing now.</param>
    public bool TrySend(ReadOnlySpan<byte> message, bool reserved)
    {
        lock (_gate)
        {
            int frame = StreamWire.HeaderBytes + message.Length;
            if (_end - _start + frame > capacity && !reserved)
            {
                ReadReceipts();
                if (_end - _start + frame > capacity) return false;
            }

            if (_descriptor >= 0 && _sent < _end)
            {
                Push();
                if (_descriptor >= 0 && _sent < _end && !reserved) return false;
            }

            int before = _lastFrame;
            Append(FrameType.Message, message);
            if (_descriptor < 0)
            {
                LookAfter();
                return true;
            }

            Push();
            if (_descriptor >= 0 && _sent == _lastFrame && !reserved)
            {
                // The kernel took nothing of it, so nobody could read it: full.
                _end = _lastFrame;
                _lastFrame = before;
                return false;
            }

            if (_sent < _end) LookAfter();
            return true;
        }
    }

    /// <summary>Completes when something has changed that a waiting sender may care for.</summary>
    public Task WaitForChange()
    {
        lock (_gate)
        {
            _change ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            LookAfter();
            return _change.Task;
        }
    }

    /// <summary>Wakes whoever waits.</summary>
    public void Wake()
    {
        lock (_gate) Changed();
    }

    /// <summary>A receiver of this process has come: what waits for one is with it when this returns, as far as the kernel takes it.</summary>
    public void Meet()
    {
        lock (_gate)
        {
            ReadReceipts();
            if (_descriptor < 0) Connect();
            LookAfter();
            Changed();
        }
    }

    public void Attend()
    {
        lock (_gate)
        {
            ReadReceipts();
            if (_descriptor >= 0) Push();
            // Another receiver may be there already.
            if (_descriptor < 0 && _start < _end) Connect();
            if (_kernelIsFull) _kernelIsFull = _descriptor >= 0 && !IsWritable();
            LookAfter();
            Changed();
        }

        StreamLanes.RemoveIfFinished(this);
    }

    public int Tick()
    {
        lock (_gate)
        {
            if (!NeedsReceiver) return 0;
            Connect();
            if (_descriptor < 0) return _pause = Math.Min(_pause * 2, LongestPause);
            LookAfter();
            Changed();
            return 0;
        }
    }

    /// <summary>Closes the connection of a finished lane.</summary>
    public void Close()
    {
        lock (_gate) Disconnect();
    }

    private bool NeedsReceiver => _descriptor < 0 && (_start < _end || IsHeld);

    /// <summary>Sees to it that the pump comes when something is to be done that no sender does.</summary>
    private void LookAfter()
    {
        if (_descriptor < 0)
        {
            if (NeedsReceiver) Pump.Tick(this, _pause);
            return;
        }

        // Receipts interest whoever waits for room, and a lane that only lives until all was read.
        bool waits = _change is not null;
        uint events = (waits || !IsHeld ? Libc.EPOLLIN : 0) | (_sent < _end || (waits && _kernelIsFull) ? Libc.EPOLLOUT : 0);
        Pump.Arm(_descriptor, _tag, events);
    }

    private void Connect()
    {
        _descriptor = StreamSocket.TryConnect(Path);
        if (_descriptor < 0) return;
        // Never less than what the kernel gives by itself.
        if (capacity > UsualSendBuffer / 2) Libc.AskForSendBuffer(_descriptor, capacity * 2);
        _tag = Pump.Know(_descriptor, this);
        _sent = _start;
        _readThere = 0;
        _receiptBytes = 0;
        _kernelIsFull = false;
        _pause = ShortestPause;
        // What the last receiver was told, this one was not.
        if (_start == _end && IsCompleted) Append(FrameType.Complete, default);
        Push();
    }

    private void Disconnect()
    {
        if (_descriptor < 0) return;
        Pump.Forget(_descriptor, _tag);
        _ = Libc.Close(_descriptor);
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

    private void Changed()
    {
        _change?.TrySetResult();
        _change = null;
    }

    private bool IsWritable()
    {
        var entry = new Libc.PollEntry { Descriptor = _descriptor, Events = (short)Libc.EPOLLOUT };
        return Libc.Poll(ref entry, 1, 0) > 0;
    }

    /// <summary>Says that a sender begins or ends; where nobody could have heard the last such word, the new one replaces it.</summary>
    private void AppendControl(FrameType type)
    {
        bool unheard = _lastFrame < _end && _lastFrame >= _sent && _end - _lastFrame == StreamWire.HeaderBytes;
        if (unheard && StreamWire.TryReadHeader(_bytes.AsSpan(_lastFrame), out FrameType last, out _) && last != FrameType.Message)
        {
            StreamWire.WriteHeader(_bytes.AsSpan(_lastFrame), type, 0);
            return;
        }

        Append(type, default);
    }

    private void Append(FrameType type, ReadOnlySpan<byte> message)
    {
        int frame = StreamWire.HeaderBytes + message.Length;
        if (_bytes.Length - _end < frame)
        {
            // What was read makes room; the array grows to twice the capacity at most, for what may exceed it.
            byte[] bytes = _start > 0 && _end - _start + frame <= _bytes.Length / 2 ? _bytes : new byte[Math.Max(256, (_end - _start + frame) * 2)];
            _bytes.AsSpan(_start, _end - _start).CopyTo(bytes);
            _bytes = bytes;
            _sent -= _start;
            _end -= _start;
            _lastFrame -= _start;
            _start = 0;
        }

        _lastFrame = _end;
        StreamWire.WriteHeader(_bytes.AsSpan(_end), type, message.Length);
        message.CopyTo(_bytes.AsSpan(_end + StreamWire.HeaderBytes));
        _end += frame;
    }
}
