using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

// The receiver keeps its own head and a copy of the tail, so that it reads the sender's line only when the copy is used up. The head is
// stored when a lease ends: a receiver that dies before it leaves the frame to its successor. Each length is read once, then checked.

internal sealed class RingReceiver : MessageReceiver, IReadiness
{
    private readonly StreamEnd _end;
    private readonly SegmentMapping _map;
    private readonly LaneOffsets _lane;
    private readonly Doorbell _senderBell;
    private readonly SpinBudget _spin;
    private readonly WaitMode _waitMode;
    private long _head;
    private long _cachedTail;
    private long _leasedAt = -1;
    private long _leasedBytes;

    public RingReceiver(SegmentFile segment, MmapStreamOptions options)
    {
        _map = segment.Mapping;
        _lane = RingLayout.Lane(segment.Plan, lane: 0);
        _senderBell = new Doorbell(_map, _lane.SenderBell, this, signallersFence: false);
        _spin = new SpinBudget(options.SpinLimit);
        _waitMode = options.WaitMode;
        _end = new StreamEnd(segment, ParticipantRoles.Receives, roleByte: 0, RingLayout.ReceiverBell(segment.Plan), this);
        try
        {
            // Acquire: pairs with the release in ReleaseLease of the receiver before this one.
            _head = Volatile.Read(ref _map.Long(_lane.Head));
            _cachedTail = _head;
            if (_head < 0 || (_head & 7) != 0) throw Corrupt($"head is {_head:N0}, which no receiver stored");
            _ = ReadTail();
            _end.StartHousekeeping();
        }
        catch
        {
            _end.Dispose();
            throw;
        }
    }

    /// <summary>Whether the present waiter has something to look at: a frame, or the end.</summary>
    public bool IsReady => ReadTail() != _head || SenderCompleted;

    public override bool IsCompleted
    {
        get
        {
            _end.Enter();
            bool completed = SenderCompleted;
            _end.Exit();
            return completed;
        }
    }

    // Acquire: pairs with the release in RingSender.Complete. Only a completion at this very position counts: all before it was read.
    private bool SenderCompleted => Volatile.Read(ref _map.Long(_lane.Completed)) == _head + 1;

    public override bool TryReceive(out ReadLease lease)
    {
        _end.Enter();
        if (!TryNext(out long payloadAt, out int length))
        {
            _end.Exit();
            lease = default;
            return false;
        }

        // The end stays entered until the lease ends.
        _leasedAt = _head;
        _leasedBytes = RingLayout.FrameBytes(length);
        lease = new ReadLease(this, new SlotToken(_head, 0), _map.Bytes(payloadAt, length));
        return true;
    }

    public override bool TryReceive(Span<byte> destination, out int bytes)
    {
        _end.Enter();
        try
        {
            if (!TryNext(out long payloadAt, out bytes)) return false;
            if (bytes > destination.Length)
                throw new ArgumentException($"the next message has {bytes:N0} bytes, the buffer {destination.Length:N0}; it was left in the stream", nameof(destination));
            _map.Bytes(payloadAt, bytes).CopyTo(destination);
            Consume(RingLayout.FrameBytes(bytes));
            return true;
        }
        finally
        {
            _end.Exit();
        }
    }

    public override bool WaitToReceive(TimeSpan timeout, CancellationToken cancellation = default)
    {
        _end.Enter();
        try
        {
            return _end.Bell.Wait(_spin, timeout, new WaitStop(_end, cancellation), _waitMode) && ReadTail() != _head;
        }
        finally
        {
            _end.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public override async ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellation = default)
    {
        _end.Enter();
        try
        {
            await _end.Bell.WaitAsync(new WaitStop(_end, cancellation), _waitMode).ConfigureAwait(false);
            return ReadTail() != _head;
        }
        finally
        {
            _end.Exit();
        }
    }

    public override void Dispose() => _end.Dispose();

    protected override void ReleaseLease(in SlotToken token)
    {
        if (_leasedAt != token.Word) return;
        _leasedAt = -1;
        Consume(_leasedBytes);
        _end.Exit();
    }

    /// <summary>Finds the next message, stepping over padding.</summary>
    private bool TryNext(out long payloadAt, out int length)
    {
        payloadAt = 0;
        length = 0;
        // At most twice: padding reaches to the end of the ring, and a message begins there.
        for (int step = 0; step < 2; step++)
        {
            if (_head == _cachedTail)
            {
                RefreshTail();
                if (_head == _cachedTail) return false;
            }

            long offset = _head & (_lane.Capacity - 1);
            long header = _map.Long(_lane.Data + offset);
            length = (int)header;
            int type = (int)(header >> 32);
            long limit = Math.Min(_cachedTail - _head, _lane.Capacity - offset);
            if (length < 0 || RingLayout.FrameBytes(length) > limit) ThrowFrame(header, limit);
            if (type == RingLayout.TypeMessage)
            {
                payloadAt = _lane.Data + offset + RingLayout.FrameHeader;
                return true;
            }

            if (type != RingLayout.TypePadding || RingLayout.FrameBytes(length) != _lane.Capacity - offset) ThrowFrame(header, limit);
            Consume(_lane.Capacity - offset);
        }

        ThrowFrame(0, 0);
        return false;
    }

    private void RefreshTail()
    {
        try
        {
            _cachedTail = ReadTail();
            if (_cachedTail != _head) _end.Bell.LookedAwake();
        }
        catch (CorruptSegmentException)
        {
            _end.Exit();
            throw;
        }
    }

    private void Consume(long bytes)
    {
        if (FaultPoints.On) FaultPoints.Reach("stream.consume.before");
        _head += bytes;
        // Release: pairs with the acquire in RingSender.ReadHead; the bytes are read before the sender may write over them.
        Volatile.Write(ref _map.Long(_lane.Head), _head);
        if (FaultPoints.On) FaultPoints.Reach("stream.consume.head");
        _senderBell.Signal();
    }

    /// <summary>The sender's tail, checked: it is shared, so it may hold anything.</summary>
    private long ReadTail()
    {
        // Acquire: pairs with the release in RingSender.Publish; the frames up to it are whole.
        long tail = Volatile.Read(ref _map.Long(_lane.Tail));
        long head = _head;
        if (tail - head < 0 || tail - head > _lane.Capacity || (tail & 7) != 0)
            throw Corrupt($"tail {tail:N0} cannot follow head {head:N0} in a ring of {_lane.Capacity:N0} bytes");
        return tail;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowFrame(long header, long limit)
    {
        _end.Exit();
        throw Corrupt($"the frame at {_head:N0} has length {(int)header:N0} and type {header >> 32}, with {limit:N0} bytes there");
    }

    private CorruptSegmentException Corrupt(string what) => new($"{_end.Segment.Path}: {what}");
}
