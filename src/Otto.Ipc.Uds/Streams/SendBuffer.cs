using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Endpoints;

namespace Otto.Ipc.Uds.Streams;

// A lane keeps a sender's messages until the receiver says that it has read them: a receiver that goes leaves them to its successor, and a sender that is
// disposed leaves its lane behind until all was read. What a receiver can read is what the kernel has taken, so a message counts as sent when it has.

/// <summary>One sender's place in a stream, in this process. Safe for any number of threads.</summary>
internal sealed partial class SendBuffer(string path) : IIoHandler
{
    private const int ShortestPause = 10, LongestPause = 320;

    private readonly Lock _gate = new();
    private readonly byte[] _receipt = new byte[StreamWire.ReceiptBytes];
    private TaskCompletionSource? _change;
    private IOException? _failure;
    private int _capacity;
    private bool _allowOther;

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
                ThrowFailure();
                if (_descriptor >= 0) Push();
                return _descriptor >= 0 ? _sent == _end
                    : _start == _end || (_lastFrame == _start && StreamWire.TryReadHeader(_bytes.AsSpan(_start, _end - _start), out FrameType only, out _) && only == FrameType.Open);
            }
        }
    }

    /// <summary>Gives it to a sender, which may hold so many bytes here, those included that another left.</summary>
    public void Hold(int capacity, bool allowOther)
    {
        lock (_gate)
        {
            IsHeld = true;
            IsCompleted = false;
            _capacity = capacity;
            _allowOther = allowOther;
            _failure = null;
            AskForRoom();
            AppendControl(FrameType.Open);
            if (_descriptor < 0) Connect();
            else Push();
            LookAfter();
        }
    }

    /// <summary>Nobody could be given it after all; a new one holds nothing then that a receiver should ever see.</summary>
    public void Renounce(bool isNew)
    {
        lock (_gate)
        {
            IsHeld = false;
            if (!isNew) return;
            Disconnect();
            _start = _sent = _end = _lastFrame = 0;
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

        SendBuffers.RemoveIfFinished(this);
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
            ThrowFailure();
            int frame = StreamWire.HeaderBytes + bytes;
            if (_end - _start + frame > _capacity) ReadReceipts();
            if (_descriptor >= 0) Push();
            if (_kernelIsFull) _kernelIsFull = _descriptor >= 0 && !IsWritable();
            bool room = _end - _start + frame <= _capacity && (_descriptor < 0 || (_sent == _end && !_kernelIsFull));
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
            if (!reserved) ThrowFailure();
            int frame = StreamWire.HeaderBytes + message.Length;
            if (_end - _start + frame > _capacity && !reserved)
            {
                ReadReceipts();
                if (_end - _start + frame > _capacity) return false;
            }

            if (_descriptor >= 0 && _sent < _end)
            {
                Push();
                if (_descriptor >= 0 && _sent < _end && !reserved) return false;
            }

            // Where it was, from the start on: to append may move everything.
            int before = _lastFrame - _start;
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
                _lastFrame = _start + before;
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

        SendBuffers.RemoveIfFinished(this);
    }

    public int Tick()
    {
        lock (_gate)
        {
            if (!NeedsReceiver) return 0;
            Connect();
            if (_failure is not null) Changed();
            if (_descriptor < 0) return _pause = Math.Min(_pause * 2, LongestPause);
            LookAfter();
            Changed();
            return 0;
        }
    }

    public void Fail(IOException failure)
    {
        lock (_gate)
        {
            _failure = failure;
            Disconnect();
            Changed();
            if (NeedsReceiver) IoThread.Tick(this, LongestPause);
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
            if (NeedsReceiver) IoThread.Tick(this, _pause);
            return;
        }

        // Receipts interest whoever waits for room, and a lane that only lives until all was read.
        bool waits = _change is not null;
        uint events = (waits || !IsHeld ? Libc.EPOLLIN : 0) | (_sent < _end || (waits && _kernelIsFull) ? Libc.EPOLLOUT : 0);
        IoThread.Arm(_descriptor, _tag, events);
    }

    /// <summary>What went wrong where nobody could be told is its sender's to know, once.</summary>
    private void ThrowFailure()
    {
        if (_failure is not { } failure) return;
        _failure = null;
        throw new IOException(failure.Message, failure);
    }

    private void Changed()
    {
        _change?.TrySetResult();
        _change = null;
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
            Move(_start > 0 && _end - _start + frame <= _bytes.Length / 2 ? _bytes : new byte[Math.Max(256, (_end - _start + frame) * 2)], 0);
        }

        _lastFrame = _end;
        StreamWire.WriteHeader(_bytes.AsSpan(_end), type, message.Length);
        message.CopyTo(_bytes.AsSpan(_end + StreamWire.HeaderBytes));
        _end += frame;
    }

    /// <summary>Moves what was not read into <paramref name="bytes"/>, which may be where it is.</summary>
    private void Move(byte[] bytes, int start)
    {
        int by = start - _start;
        _bytes.AsSpan(_start, _end - _start).CopyTo(bytes.AsSpan(start));
        _bytes = bytes;
        _start += by;
        _sent += by;
        _end += by;
        _lastFrame += by;
    }
}
