using System.Buffers;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Uds.Endpoints;

namespace Otto.Ipc.Uds.Streams;

/// <summary>The sending end of a stream over a socket.</summary>
internal sealed class StreamSender : MessageSender
{
    private readonly SendBuffer _buffer;
    private readonly ExclusiveUse _use;
    private byte[]? _room;
    private long _reservations, _open;
    private bool _completed;

    public StreamSender(string path, UdsStreamOptions options, bool allowOther)
    {
        MaxMessageBytes = StreamWire.MaxMessage(options.Capacity);
        _buffer = SendBuffers.Take(path, options, allowOther);
        _use = new ExclusiveUse(_buffer.Release, "sender");
    }

    public override int MaxMessageBytes { get; }

    public override bool TrySend(ReadOnlySpan<byte> message)
    {
        _use.Enter();
        try
        {
            Check(message.Length);
            return _buffer.TrySend(message, reserved: false);
        }
        finally
        {
            _use.Exit();
        }
    }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        _use.Enter();
        bool reserved = false;
        try
        {
            Check(maxBytes);
            reserved = _buffer.HasRoom(maxBytes);
        }
        finally
        {
            // The end stays entered until commit or abort.
            if (!reserved) _use.Exit();
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
        _use.Enter();
        try
        {
            return WaitLoop.Wait(_use, () => _buffer.HasRoom(bytes), _buffer.WaitForChange, timeout, cancellationToken);
        }
        finally
        {
            _use.Exit();
        }
    }

    public override async ValueTask WaitToSendAsync(int bytes, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        _use.Enter();
        try
        {
            await WaitLoop.WaitAsync(_use, () => _buffer.HasRoom(bytes), _buffer.WaitForChange, cancellationToken).ConfigureAwait(false);
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
            if (!_completed) _buffer.Complete();
            _completed = true;
        }
        finally
        {
            _use.Exit();
        }
    }

    public override async ValueTask FlushAsync(CancellationToken cancellationToken = default)
    {
        _use.Enter();
        try
        {
            await WaitLoop.WaitAsync(_use, () => _buffer.IsDelivered, _buffer.WaitForChange, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _use.Exit();
        }
    }

    public override void Dispose()
    {
        _use.Close();
        _buffer.Wake();
    }

    protected override bool CommitSlot(in SlotToken token, int bytes)
    {
        if (_open != token.Word) return false;
        _buffer.TrySend(_room.AsSpan(0, bytes), reserved: true);
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
        _use.Exit();
    }

    private void Check(int bytes)
    {
        CheckSize(bytes);
        if (_completed) throw new InvalidOperationException("this sender was completed; open another one to send more");
    }

    private void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes), $"message of {bytes:N0} bytes exceeds the limit of "
                + $"{MaxMessageBytes:N0}, half the capacity; raise Capacity, or split the message");
    }
}
