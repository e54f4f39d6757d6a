using System.Buffers;
using Otto.Ipc.Uds.Endpoints;

namespace Otto.Ipc.Uds.Streams;

/// <summary>The sending end of a stream over a socket.</summary>
internal sealed class StreamSender : MessageSender
{
    private readonly SendBuffer _lane;
    private readonly EndGate _gate;
    private byte[]? _room;
    private long _reservations, _open;
    private bool _completed;

    public StreamSender(string path, UdsStreamOptions options, bool allowOther)
    {
        MaxMessageBytes = StreamWire.MaxMessage(options.Capacity);
        _lane = SendBuffers.Take(path, options, allowOther);
        _gate = new EndGate("sender", _lane.LetGo);
    }

    public override int MaxMessageBytes { get; }

    public override bool TrySend(ReadOnlySpan<byte> message)
    {
        _gate.Enter();
        try
        {
            Check(message.Length);
            return _lane.TrySend(message, reserved: false);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        _gate.Enter();
        bool reserved = false;
        try
        {
            Check(maxBytes);
            reserved = _lane.HasRoom(maxBytes);
        }
        finally
        {
            // The end stays entered until commit or abort.
            if (!reserved) _gate.Exit();
        }

        slot = default;
        if (!reserved) return false;
        _room = ArrayPool<byte>.Shared.Rent(maxBytes);
        _open = ++_reservations;
        slot = new WriteSlot(this, new SlotToken(_open, 0), _room.AsSpan(0, maxBytes));
        return true;
    }

    public override bool WaitToSend(int bytes, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        _gate.Enter();
        try
        {
            return EndWait.Wait(_gate, () => _lane.HasRoom(bytes), _lane.WaitForChange, timeout, cancellationToken);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override async ValueTask WaitToSendAsync(int bytes, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        _gate.Enter();
        try
        {
            await EndWait.WaitAsync(_gate, () => _lane.HasRoom(bytes), _lane.WaitForChange, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override void Complete()
    {
        _gate.Enter();
        try
        {
            if (!_completed) _lane.Complete();
            _completed = true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        _gate.Enter();
        try
        {
            await EndWait.WaitAsync(_gate, () => _lane.IsDelivered, _lane.WaitForChange, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override void Dispose()
    {
        _gate.Dispose();
        _lane.Wake();
    }

    protected override bool CommitSlot(in SlotToken token, int bytes)
    {
        if (_open != token.Word) return false;
        _lane.TrySend(_room.AsSpan(0, bytes), reserved: true);
        Close();
        return true;
    }

    protected override void AbortSlot(in SlotToken token)
    {
        if (_open == token.Word) Close();
    }

    private void Close()
    {
        _open = 0;
        ArrayPool<byte>.Shared.Return(_room!);
        _room = null;
        _gate.Exit();
    }

    private void Check(int bytes)
    {
        CheckSize(bytes);
        if (_completed) throw new InvalidOperationException("this sender said that no more would come; open another to go on");
    }

    private void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes), $"message of {bytes:N0} bytes exceeds the limit of {MaxMessageBytes:N0}, half the capacity; raise Capacity, or cut the message");
    }
}
