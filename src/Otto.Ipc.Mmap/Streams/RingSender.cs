using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Endpoints;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

// The sender keeps its own tail and a copy of the head, so that it reads the receiver's line only when the copy says full. A frame is
// written first and published by one store of the tail: a sender that dies before it leaves nothing behind, at whichever instruction.

internal sealed class RingSender : MessageSender, ILoanOwner, IReadiness
{
    private const int WarmBytes = 128;
    private readonly ParticipantEndpoint _end;
    private readonly SegmentMapping _map;
    private readonly LaneOffsets _lane;
    private readonly Doorbell _receiverBell;
    private readonly SpinBudget _spin;
    private readonly WaitMode _waitMode;
    private readonly RingLoans<StreamLoans> _loans;
    private long _tail;
    private long _cachedHead;
    private uint _tooMany;
    private long _reservations;
    private long _open;
    private long _padding;
    private int _wanted;
    private bool _completed;
    private readonly BatchingPause _gathering;

    public RingSender(SegmentFile segment, MmapStreamOptions options)
    {
        _map = segment.Mapping;
        _lane = RingLayout.Lane(segment.Plan, SenderLane.Take(segment));
        _receiverBell = new Doorbell(_map, RingLayout.ReceiverBell(segment.Plan));
        _spin = new SpinBudget(options.SpinLimit);
        _waitMode = options.WaitMode;
        _gathering = new BatchingPause(_lane.Capacity, options.SpinLimit);
        MaxMessageBytes = RingLayout.MaxMessage(_lane.Capacity);
        _tooMany = (uint)MaxMessageBytes + 1;
        _loans = new RingLoans<StreamLoans>(segment, options.MaxLoanBytes, options.WritableLoans);
        _end = new ParticipantEndpoint(segment, ParticipantRoles.Sends, _lane.SenderBell, this) { Looking = _loans.RunMaintenance,
            Leaving = _loans.Close };
        try
        {
            // Acquire: pairs with the release in Publish of the sender before this one, which may have been another process.
            _tail = Volatile.Read(ref _map.Long(_lane.Tail));
            _cachedHead = ReadHead();
            if (FaultPoints.On) FaultPoints.Reach("stream.open.before");
            // Pairs with the read in LaneReader.IsCompleted; the first frame's release store comes after it.
            Volatile.Write(ref _map.Long(_lane.Completed), 0);
            if (FaultPoints.On) FaultPoints.Reach("stream.open.completed");
            _end.StartHousekeeping();
        }
        catch
        {
            _end.Dispose();
            throw;
        }
    }

    public override int MaxMessageBytes { get; }

    /// <summary>Whether the frame that the present waiter wants has room.</summary>
    public bool Poll() => HasRoom(_tail, ReadHead(), _wanted, out _) || _end.IsRetired;

    public override bool TrySend(ReadOnlySpan<byte> message)
    {
        _end.Enter();
        int bytes = message.Length;
        if (!FitsAtTail(bytes)) return TrySendSlowly(message);
        // Each field once: after a store to shared memory the compiler would read them all again.
        ref byte frame = ref _map.Byte(PayloadAt(_tail) - RingLayout.FrameHeader);
        InlineCopy.Copy(message, ref Unsafe.Add(ref frame, RingLayout.FrameHeader));
        Publish(_tail, ref frame, bytes, RingLayout.TypeMessage);
        _end.Exit();
        return true;
    }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        _end.Enter();
        if (!TryClaim(maxBytes, out _padding))
        {
            _end.Exit();
            slot = default;
            return false;
        }

        // The end stays entered until commit or abort: that is what makes overlapping use throw.
        // Numbered, since an aborted reservation leaves the tail where it was, and a copy of its slot must not pass for the next one.
        _open = ++_reservations;
        slot = new WriteSlot(this, new SlotToken(_open, 0), _map.Bytes(PayloadAt(_tail + _padding), maxBytes));
        return true;
    }

    public override bool TryLoan(int bytes, out Loan loan)
    {
        _loans.CheckSize(bytes);
        _end.Enter();
        try
        {
            bool lent = _loans.Pool.TryBorrow(bytes, out BlockDescriptor block, out Memory<byte> memory);
            loan = lent ? new Loan(this, block.ToToken(), memory) : default;
            return lent;
        }
        finally
        {
            _end.Exit();
        }
    }

    public override bool TrySend(in Loan loan, int bytes)
    {
        if (!loan.TryGetToken(this, out SlotToken token))
            throw new ArgumentException("this loan was not borrowed from this sender", nameof(loan));
        if ((uint)bytes > (uint)loan.Memory.Length)
            throw new ArgumentOutOfRangeException(nameof(bytes), $"{bytes:N0} bytes of a loan of {loan.Memory.Length:N0} cannot be sent");
        _end.Enter();
        if (!TryClaim(BlockDescriptor.Bytes, out long padding))
        {
            _end.Exit();
            return false;
        }

        var block = BlockDescriptor.Of(token, bytes);
        if (!_loans.Pool.TryBeginSend(block))
        {
            _end.Exit();
            throw new InvalidOperationException("this loan was already sent or returned");
        }

        block.Write(_map, PayloadAt(_tail + padding));
        Publish(_tail + padding, BlockDescriptor.Bytes, padding, RingLayout.TypeLoan);
        _loans.Pool.EndSend(block);
        _end.Exit();
        return true;
    }

    // A loan may come back on any thread, and after this end was disposed: its pool stays open until then.
    void ILoanOwner.ReturnLoan(in SlotToken token) => _loans.Pool.ReturnBlock(BlockDescriptor.Of(token, 0));

    void ILoanOwner.Release(in SlotToken token)
    {
        // A sender holds nothing beyond its messages.
    }

    public override bool WaitToSend(int bytes, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        _end.Enter();
        try
        {
            _wanted = bytes;
            _gathering.OfRoom();
            return _end.Waiter.Wait(_spin, timeout, new WaitStop(_end, cancellationToken), _waitMode);
        }
        finally
        {
            _end.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WaitToSendAsync(int bytes, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        _end.Enter();
        try
        {
            _wanted = bytes;
            _gathering.OfRoom();
            await _end.Waiter.WaitAsync(new WaitStop(_end, cancellationToken), _waitMode).ConfigureAwait(false);
        }
        finally
        {
            _end.Exit();
        }
    }

    public override void Complete()
    {
        _end.Enter();
        _completed = true;
        _tooMany = 0;
        if (FaultPoints.On) FaultPoints.Reach("stream.complete.before");
        // Release: pairs with the acquire in LaneReader.IsCompleted; every frame is published before the end is said.
        Volatile.Write(ref _map.Long(_lane.Completed), _tail + 1);
        if (FaultPoints.On) FaultPoints.Reach("stream.complete.word");
        _receiverBell.Signal();
        _end.Exit();
    }

    public override void Dispose() => _end.Dispose();

    protected override bool CommitSlot(in SlotToken token, int bytes)
    {
        if (_open != token.Word) return false;
        _open = 0;
        Publish(_tail + _padding, bytes, _padding);
        _end.Exit();
        return true;
    }

    protected override void AbortSlot(in SlotToken token)
    {
        if (_open != token.Word) return;
        _open = 0;
        _end.Exit();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TrySendSlowly(ReadOnlySpan<byte> message)
    {
        bool room = TryClaimSlowly(message.Length, out long padding);
        if (room)
        {
            message.CopyTo(_map.Bytes(PayloadAt(_tail + padding), message.Length));
            Publish(_tail + padding, message.Length, padding);
        }

        _end.Exit();
        return room;
    }

    /// <summary>Whether a frame is allowed, and has room at the tail for all that is known;
    /// <see cref="TryClaimSlowly"/> knows more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool FitsAtTail(int bytes)
    {
        long tail = _tail, capacity = _lane.Capacity, frame = RingLayout.FrameBytes(bytes);
        return (tail & (capacity - 1)) + frame <= capacity && tail + frame - _cachedHead <= capacity && (uint)bytes < _tooMany
            && !_end.IsRetired;
    }

    /// <summary>Finds room for a frame at the tail, behind so much padding. Leaves the end where it throws.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryClaim(int bytes, out long padding)
    {
        padding = 0;
        return FitsAtTail(bytes) || TryClaimSlowly(bytes, out padding);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryClaimSlowly(int bytes, out long padding)
    {
        if ((uint)bytes >= _tooMany || _end.IsRetired) ThrowRefused(bytes);
        if (HasRoom(_tail, _cachedHead, bytes, out padding)) return true;
        RefreshHead();
        if (HasRoom(_tail, _cachedHead, bytes, out padding)) return true;
        _end.Segment.Meter.Full();
        return false;
    }

    private void RefreshHead()
    {
        try
        {
            _cachedHead = ReadHead();
            _end.Waiter.NoteBusy();
        }
        catch (CorruptSegmentException)
        {
            _end.Exit();
            throw;
        }
    }

    private bool HasRoom(long tail, long head, int bytes, out long padding)
    {
        long frame = RingLayout.FrameBytes(bytes);
        long toEnd = _lane.Capacity - (tail & (_lane.Capacity - 1));
        padding = toEnd < frame ? toEnd : 0;
        return tail + padding + frame - head <= _lane.Capacity;
    }

    private long PayloadAt(long position) => _lane.Data + (position & (_lane.Capacity - 1)) + RingLayout.FrameHeader;

    /// <param name="at">Where the frame begins: at the tail, or behind padding.</param>
    /// <param name="bytes">Of its payload, which is written.</param>
    /// <param name="padding">Bytes from the tail to there.</param>
    /// <param name="type">What it is.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Publish(long at, int bytes, long padding, int type = RingLayout.TypeMessage)
    {
        if (padding != 0) _map.Long(PayloadAt(at - padding) - RingLayout.FrameHeader) =
            RingLayout.Header((int)padding - RingLayout.FrameHeader, RingLayout.TypePadding);
        Publish(at, ref _map.Byte(PayloadAt(at) - RingLayout.FrameHeader), bytes, type);
    }

    /// <param name="at">Where the frame begins.</param>
    /// <param name="frame">The byte there.</param>
    /// <param name="bytes">Of its payload, which is written.</param>
    /// <param name="type">What it is.</param>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Publish(long at, ref byte frame, int bytes, int type)
    {
        long tail = at + RingLayout.FrameBytes(bytes);
        if (FaultPoints.On && FaultPoints.Plants("stream.publish.tail-first")) Volatile.Write(ref _map.Long(_lane.Tail), tail);
        if (FaultPoints.On) FaultPoints.Reach("stream.publish.payload");
        Unsafe.As<byte, long>(ref frame) = RingLayout.Header(bytes, type);
        _tail = tail;
        if (FaultPoints.On) FaultPoints.Reach("stream.publish.frame");
        // Release: pairs with the acquire of the tail in LaneReader; the frames must be visible before the tail that covers them.
        Volatile.Write(ref _map.Long(_lane.Tail), tail);
        if (FaultPoints.On) FaultPoints.Reach("stream.publish.tail");
        _receiverBell.Signal();
        _end.Count(bytes);
        WarmNextFrame(tail, ref Unsafe.Add(ref frame, (nint)(tail - at)));
    }

    /// <summary>
    /// Writes into the room that the next frame will take, so that its cache lines come back from the receiver's core
    /// while this one does something else, instead of when the next message is on its way.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void WarmNextFrame(long tail, ref byte next)
    {
        long capacity = _lane.Capacity, offset = tail & (capacity - 1);
        // At the ring's end nothing is warmed, and next is not within it.
        if (tail + WarmBytes - _cachedHead > capacity || (ulong)(offset - 1) >= (ulong)(capacity - WarmBytes)) return;
        Unsafe.As<byte, long>(ref next) = 0;
        Unsafe.As<byte, long>(ref Unsafe.Add(ref next, 64)) = 0;
    }

    /// <summary>The receiver's head, checked: it is shared, so it may hold anything.</summary>
    private long ReadHead()
    {
        // Acquire: pairs with the release in LaneReader.Consume; the receiver is done with the bytes before they are written again.
        long head = Volatile.Read(ref _map.Long(_lane.Head));
        long tail = _tail;
        if (tail - head < 0 || tail - head > _lane.Capacity || ((head | tail) & 7) != 0 || head < 0)
            throw new CorruptSegmentException(
                $"{_end.Segment.Path}: head {head:N0} and tail {tail:N0} cannot be of a ring of {_lane.Capacity:N0} bytes");
        return head;
    }

    private void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes) throw TooLarge(bytes);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowRefused(int bytes)
    {
        _end.Exit();
        if ((uint)bytes <= (uint)MaxMessageBytes && _end.IsRetired) throw _end.Segment.Retired();
        throw _completed && (uint)bytes <= (uint)MaxMessageBytes
            ? new InvalidOperationException("this sender was completed; open another one to send more")
            : TooLarge(bytes);
    }

    private ArgumentOutOfRangeException TooLarge(int bytes) => new(
        nameof(bytes),
        $"message of {bytes:N0} bytes exceeds the limit of {MaxMessageBytes:N0}, half the ring of {_lane.Capacity:N0}; raise Capacity, "
        + $"or split the message");
}
