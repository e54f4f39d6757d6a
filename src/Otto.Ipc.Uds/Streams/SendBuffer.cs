using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Streams;

// Keeps a sender's messages until the receiver says that it has read them: a receiver that goes leaves them to its successor, and a sender
// that is disposed leaves its buffer behind until all was read. What a receiver can read is what the kernel
// has taken, so a message counts as sent then.

/// <summary>The messages of one sender of this process that were not read. Safe for any number of threads.</summary>
internal sealed class SendBuffer : IWaitHandler
{
    private const int ShortestPause = 10, LongestPause = 320;

    private readonly Lock _gate = new();
    private readonly SenderConnection _connection;
    private TaskCompletionSource? _change;
    private IOException? _failure;
    private int _capacity;
    private bool _allowOther;

    // From start to end lies what was not read; up to sent, what the kernel has taken on this connection.
    private byte[] _bytes = [];
    private int _start, _sent, _end;
    private int _lastFrame;
    private int _pause = ShortestPause;

    public SendBuffer(string path)
    {
        Path = path;
        _connection = new SenderConnection(path, this);
    }

    public string Path { get; }

    /// <summary>Whether a sender has it.</summary>
    public bool IsHeld { get; private set; }

    /// <summary>Whether its last sender said that no more will come.</summary>
    public bool IsCompleted { get; private set; }

    /// <summary>Whether no sender has it and all messages were read.</summary>
    public bool IsFinished
    {
        get
        {
            lock (_gate) return !IsHeld && _start == _end;
        }
    }

    /// <summary>Whether all that says something is on its way: a receiver that has a
    /// connection reads it, whether or not this process is still there.</summary>
    public bool IsDelivered
    {
        get
        {
            lock (_gate)
            {
                ThrowFailure();
                if (_connection.IsOpen) Push();
                return _connection.IsOpen ? _sent == _end
                    : _start == _end || (_lastFrame == _start
                    && StreamWire.TryReadHeader(_bytes.AsSpan(_start, _end - _start), out FrameType only, out _) && only == FrameType.Open);
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
            _connection.AskForRoom(capacity);
            AppendControl(FrameType.Open);
            if (!_connection.IsOpen) Connect();
            else Push();
            ScheduleIo();
        }
    }

    /// <summary>
    /// Cancels the hold because no sender could be opened. A new buffer is cleared: a receiver must not see its
    /// content.
    /// </summary>
    public void CancelHold(bool isNew)
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
    public void Release()
    {
        lock (_gate)
        {
            IsHeld = false;
            ReadReceipts();
            ScheduleIo();
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
            ScheduleIo();
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
            if (_connection.IsOpen) Push();
            _connection.CheckFull();
            bool room = _end - _start + frame <= _capacity && (!_connection.IsOpen || (_sent == _end && !_connection.IsFull));
            if (!room) ScheduleIo();
            return room;
        }
    }

    /// <summary>Sends a message if there is room.</summary>
    /// <param name="message">The message.</param>
    /// <param name="reserved">
    /// Whether its room was reserved before. The message is then kept if the kernel accepts no bytes now.
    /// </param>
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

            if (_connection.IsOpen && _sent < _end)
            {
                Push();
                if (_connection.IsOpen && _sent < _end && !reserved) return false;
            }

            // Where it was, from the start on: to append may move everything.
            int before = _lastFrame - _start;
            Append(FrameType.Message, message);
            if (!_connection.IsOpen)
            {
                ScheduleIo();
                return true;
            }

            Push();
            if (_connection.IsOpen && _sent == _lastFrame && !reserved)
            {
                // The kernel took nothing of it, so nobody could read it: full.
                _end = _lastFrame;
                _lastFrame = _start + before;
                return false;
            }

            if (_sent < _end) ScheduleIo();
            return true;
        }
    }

    /// <summary>Completes when something has changed that a waiting sender may care for.</summary>
    public Task WaitForChange()
    {
        lock (_gate)
        {
            _change ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            ScheduleIo();
            return _change.Task;
        }
    }

    /// <summary>Wakes all waiting callers.</summary>
    public void Wake()
    {
        lock (_gate) NotifyChanged();
    }

    /// <summary>A receiver of this process has come: what waits for one is with it when
    /// this returns, as far as the kernel takes it.</summary>
    public void ConnectNow()
    {
        lock (_gate)
        {
            ReadReceipts();
            if (!_connection.IsOpen) Connect();
            ScheduleIo();
            NotifyChanged();
        }
    }

    public void OnReady()
    {
        lock (_gate)
        {
            ReadReceipts();
            if (_connection.IsOpen) Push();
            // Another receiver may be there already.
            if (!_connection.IsOpen && _start < _end) Connect();
            _connection.CheckFull();
            ScheduleIo();
            NotifyChanged();
        }

        SendBuffers.RemoveIfFinished(this);
    }

    public int OnTime()
    {
        lock (_gate)
        {
            if (!NeedsReceiver) return 0;
            Connect();
            if (_failure is not null) NotifyChanged();
            if (!_connection.IsOpen) return _pause = Math.Min(_pause * 2, LongestPause);
            ScheduleIo();
            NotifyChanged();
            return 0;
        }
    }

    public void Fail(IOException failure)
    {
        lock (_gate)
        {
            _failure = failure;
            Disconnect();
            NotifyChanged();
            if (NeedsReceiver) WaitThread.CallAfter(this, LongestPause);
        }
    }

    /// <summary>Closes the connection of a finished buffer.</summary>
    public void Close()
    {
        lock (_gate) Disconnect();
    }

    private bool NeedsReceiver => !_connection.IsOpen && (_start < _end || IsHeld);

    /// <summary>Has the thread for sockets call when something is to be done that no sender does.</summary>
    private void ScheduleIo()
    {
        if (!_connection.IsOpen)
        {
            if (NeedsReceiver) WaitThread.CallAfter(this, _pause);
            return;
        }

        // Receipts interest whoever waits for room, and a buffer that only lives until all was read.
        bool waits = _change is not null;
        PollEvents read = waits || !IsHeld ? PollEvents.Readable : 0,
            write = _sent < _end || (waits && _connection.IsFull) ? PollEvents.Writable : 0;
        _connection.Arm(read | write);
    }

    /// <summary>Throws a failure that could not be reported when it happened. The sender gets it once.</summary>
    private void ThrowFailure()
    {
        if (_failure is not { } failure) return;
        _failure = null;
        throw new IOException(failure.Message, failure);
    }

    private void NotifyChanged()
    {
        _change?.TrySetResult();
        _change = null;
    }

    /// <summary>
    /// Appends a frame that marks that a sender begins or ends. If no receiver can have received the last such frame,
    /// the new one replaces it.
    /// </summary>
    private void AppendControl(FrameType type)
    {
        bool unread = _lastFrame < _end && _lastFrame >= _sent && _end - _lastFrame == StreamWire.HeaderBytes;
        if (unread && StreamWire.TryReadHeader(_bytes.AsSpan(_lastFrame), out FrameType last, out _) && last != FrameType.Message)
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
            Move(_start > 0 && _end - _start + frame <= _bytes.Length / 2 ? _bytes : new byte[Math.Max(256, (_end - _start + frame) * 2)],
                0);
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

    private void Connect()
    {
        bool open = _connection.TryOpen(_allowOther, out _failure);
        if (!open) return;
        _connection.AskForRoom(_capacity);
        _sent = _start;
        _pause = ShortestPause;
        // What the last receiver was told, this one was not.
        bool completes = _start == _end && IsCompleted;
        Begin();
        if (completes) Append(FrameType.Complete, default);
        Push();
    }

    /// <summary>Puts the frame first by which a receiver knows a sender: the one that began
    /// this buffer may have been read by another.</summary>
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
            byte[] bytes = _bytes.Length - _end + _start >= StreamWire.HeaderBytes ? _bytes
                : new byte[_bytes.Length + StreamWire.HeaderBytes];
            Move(bytes, StreamWire.HeaderBytes);
        }

        _start -= StreamWire.HeaderBytes;
        _sent = _start;
        StreamWire.WriteHeader(_bytes.AsSpan(_start), FrameType.Open, 0);
    }

    private void Disconnect()
    {
        if (!_connection.IsOpen) return;
        _connection.Close();
        // The next receiver gets all that this one did not read.
        _sent = _start;
        NotifyChanged();
    }

    private void Push()
    {
        while (_connection.IsOpen && _sent < _end)
        {
            SocketResult result = _connection.Send(_bytes.AsSpan(_sent, _end - _sent), out int taken);
            if (result == SocketResult.WouldBlock) return;
            _sent += taken;
            if (result == SocketResult.Done) continue;
            ReadReceipts();
            Disconnect();
        }
    }

    private void ReadReceipts()
    {
        while (_connection.IsOpen)
        {
            SocketResult result = _connection.ReadReceipt(out long more);
            if (result == SocketResult.WouldBlock) return;
            if (result == SocketResult.Done && more >= 0 && more <= _sent - _start) Forget((int)more);
            else Disconnect();
        }
    }

    /// <summary>The receiver has read this much.</summary>
    private void Forget(int bytes)
    {
        _start += bytes;
        if (_start == _end) _start = _sent = _end = _lastFrame = 0;
        if (bytes > 0) NotifyChanged();
    }
}
