using Otto.Ipc.Endpoints;
using Otto.Ipc.Files.Messages;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Files.Watching;

namespace Otto.Ipc.Files.Streams;

// The sending end: a message is a line, appended in one call to a log that is this sender's alone.

internal sealed class LogSender : MessageSender, IWaitCondition
{
    private readonly StreamNumbers _numbers;
    private readonly SenderLogFiles _lane;
    private readonly LockFile _lock;
    private readonly SenderLogWriter _log;
    private readonly ChangeWaiter _waiter;
    private readonly ExclusiveUse _use;
    private byte[] _line = new byte[1024];
    private byte[] _slot = [];
    private long _read, _wanted, _slots, _openSlot;
    private bool _completed;

    public LogSender(string lanes, StreamNumbers numbers, FilesTransportOptions options)
    {
        _numbers = numbers;
        (_lane, _lock) = SenderLogs.Take(lanes, numbers.MaxSenders);
        try
        {
            // A new sender begins a completed lane anew.
            PrivateFile.Remove(_lane.Completed);
            _log = new SenderLogWriter(_lane, numbers.LogFileBytes, options.Flush);
        }
        catch
        {
            _lock.Dispose();
            throw;
        }

        _waiter = new ChangeWaiter(options);
        _use = new ExclusiveUse(Close);
    }

    public override int MaxMessageBytes => _numbers.MaxMessageBytes;

    IEnumerable<string> IWaitCondition.Directories => [_lane.Directory];

    TimeSpan IWaitCondition.NextPollIn => ChangeWaiter.LongestSleep;

    public override bool TrySend(ReadOnlySpan<byte> message)
    {
        CheckSize(message.Length, nameof(message));
        _use.Enter();
        try
        {
            ThrowIfCompleted();
            int line = Encode(message);
            if (!HasRoom(line)) return false;
            _log.Append(_line.AsSpan(0, line));
            return true;
        }
        finally
        {
            _use.Exit();
        }
    }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        CheckSize(maxBytes, nameof(maxBytes));
        slot = default;
        _use.Enter();
        bool open = false;
        try
        {
            ThrowIfCompleted();
            if (!HasRoom(MessageText.MostBytes(maxBytes) + 1)) return false;
            if (_slot.Length < maxBytes) _slot = new byte[maxBytes];
            _openSlot = ++_slots;
            slot = new WriteSlot(this, new SlotToken(_openSlot, 0), _slot.AsSpan(0, maxBytes));
            return open = true;
        }
        finally
        {
            if (!open) _use.Exit();
        }
    }

    public override bool WaitToSend(int bytes, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        BeginWait(bytes);
        try
        {
            return _waiter.Wait(this, timeout, cancellationToken);
        }
        finally
        {
            _use.Exit();
        }
    }

    public override async ValueTask WaitToSendAsync(int bytes, CancellationToken cancellationToken = default)
    {
        BeginWait(bytes);
        try
        {
            await _waiter.WaitAsync(this, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _use.Exit();
        }
    }

    public override void Complete()
    {
        _use.Enter();
        try
        {
            if (_completed) return;
            PrivateFile.OpenOrCreate(_lane.Completed).Dispose();
            _completed = true;
        }
        finally
        {
            _use.Exit();
        }
    }

    public override void Dispose()
    {
        _use.Close();
        _waiter.Wake();
    }

    protected override bool CommitSlot(in SlotToken token, int bytes)
    {
        if (!EndSlot(token)) return false;
        try
        {
            // The most that it can take was there when it was reserved, and only the receiver changed anything since.
            _log.Append(_line.AsSpan(0, Encode(_slot.AsSpan(0, bytes))));
            return true;
        }
        finally
        {
            _use.Exit();
        }
    }

    protected override void AbortSlot(in SlotToken token)
    {
        if (EndSlot(token)) _use.Exit();
    }

    bool? IWaitCondition.Poll()
    {
        _use.ThrowIfClosed();
        return HasRoom(_wanted) ? true : null;
    }

    private bool EndSlot(in SlotToken token) => token.Word != 0 && Interlocked.CompareExchange(ref _openSlot, 0, token.Word) == token.Word;

    private void BeginWait(int bytes)
    {
        CheckSize(bytes, nameof(bytes));
        _use.Enter();
        _wanted = MessageText.MostBytes(bytes) + 1;
    }

    private int Encode(ReadOnlySpan<byte> message)
    {
        int most = MessageText.MostBytes(message.Length) + 1;
        if (_line.Length < most) _line = new byte[Math.Max(most, Math.Min(_line.Length * 2, _numbers.MaxLineBytes))];
        int length = MessageText.Encode(message, _line);
        _line[length] = (byte)'\n';
        return length + 1;
    }

    /// <summary>Whether this many bytes may be appended. The position that was read last is used while it leaves enough
    /// room, because the receiver only moves forward.</summary>
    private bool HasRoom(long bytes)
    {
        if (_log.Tail + bytes - _read <= _numbers.Capacity) return true;
        _read = ReadPosition.Load(_lane);
        return _log.Tail + bytes - _read <= _numbers.Capacity;
    }

    private void CheckSize(int bytes, string parameter)
    {
        if ((uint)bytes > (uint)_numbers.MaxMessageBytes)
        {
            throw new ArgumentOutOfRangeException(
                parameter, $"message of {bytes:N0} bytes exceeds the limit of {_numbers.MaxMessageBytes:N0}; create the stream with a "
                + $"higher MaxMessageBytes");
        }
    }

    private void ThrowIfCompleted()
    {
        if (_completed) throw new InvalidOperationException(
            "this sender was completed; open another one to start the stream again");
    }

    private void Close()
    {
        _waiter.Dispose();
        _log.Dispose();
        _lock.Dispose();
    }
}
