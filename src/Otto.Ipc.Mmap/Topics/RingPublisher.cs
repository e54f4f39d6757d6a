using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Endpoints;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Topics;

// The publisher of one lane. It says ahead, for a sixteenth of the ring at a time, what it may write over (oldest, then intent, then a full
// fence); within that a message costs its bytes and one store of the tail. It never waits for subscribers,
// unless the topic's policy is Block.

internal sealed class RingPublisher : MessagePublisher, ILoanOwner, IReadiness
{
    private readonly ParticipantEndpoint _end;
    private readonly SegmentMapping _map;
    private readonly TopicLane _lane;
    private readonly Subscribers _subscribers;
    private readonly Doorbell _bell;
    private readonly SpinBudget _spin;
    private readonly WaitMode _waitMode;
    private readonly RingLoans<TopicLoans> _loans;
    private readonly List<BlockDescriptor> _overwritten = [];
    private long _tail;
    private long _intent;
    private long _oldest;
    private long _number;
    private long _reservations;
    private long _open;
    private long _padding;
    private int _wanted;
    private int _inRing; // blocks that this lane names, as far as this publisher has published them itself

    public RingPublisher(SegmentFile segment, MmapTopicOptions options)
    {
        _map = segment.Mapping;
        LaneTable lanes = TopicLayout.Lanes(segment);
        int lane;
        try
        {
            lane = lanes.TakeLowest();
            if (lane < 0)
                throw new IOException($"{segment.Path} has {lanes.Lanes:N0} live publishers, which is its limit; dispose one, or create "
                    + $"the topic with a higher MaxPublishers");
        }
        catch
        {
            segment.Close();
            throw;
        }

        _lane = TopicLayout.Lane(segment.Plan, lane);
        _subscribers = new Subscribers(segment, lane);
        _bell = new Doorbell(_map, TopicLayout.SubscribersBell(segment.Plan));
        _spin = new SpinBudget(options.SpinLimit);
        _waitMode = options.WaitMode;
        _loans = new RingLoans<TopicLoans>(segment, options.MaxLoanBytes, options.WritableLoans);
        MaxMessageBytes = TopicLayout.MaxMessage(_lane.Capacity);
        _end = new ParticipantEndpoint(segment, ParticipantRoles.Publishes, _lane.PublisherBell, this, _subscribers.Repair,
            TopicLayout.PublisherSeats(segment.Plan))
        {
            Looking = _loans.RunMaintenance,
            Leaving = _loans.Close,
        };
        try
        {
            Resume();
            _end.StartHousekeeping();
        }
        catch
        {
            _end.Dispose();
            throw;
        }
    }

    public override int MaxMessageBytes { get; }

    /// <summary>Whether no subscriber holds the message that the present waiter wants to publish.</summary>
    public bool Poll() =>
        _end.IsRetired || _subscribers.Policy != SlowSubscriberPolicy.Block
        || _subscribers.HaveReadTo(_lane.EndOf(_tail, _wanted, out _) - _lane.Capacity, _tail);

    public override bool TryPublish(ReadOnlySpan<byte> message)
    {
        _end.Enter();
        if (!TryClaim(message.Length))
        {
            _end.Exit();
            return false;
        }

        InlineCopy.Copy(message, ref _map.Byte(_lane.At(_tail + _padding) + TopicLayout.FrameHeader));
        Publish(message.Length);
        _end.Exit();
        return true;
    }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        _end.Enter();
        if (!TryClaim(maxBytes))
        {
            _end.Exit();
            slot = default;
            return false;
        }

        // The end stays entered until commit or abort. Numbered, since an aborted reservation leaves the tail where it was.
        _open = ++_reservations;
        slot = new WriteSlot(this, new SlotToken(_open, 0), _map.Bytes(_lane.At(_tail + _padding) + TopicLayout.FrameHeader, maxBytes));
        return true;
    }

    public override bool TryLoan(int bytes, out Loan loan)
    {
        _loans.CheckSize(bytes);
        _end.Enter();
        try
        {
            // A lane keeps its share of the blocks, and beyond that no more than there is room for: the oldest go first, as they do when
            // the ring has gone round. Where a subscriber holds them, the answer is no.
            while (_inRing >= TopicLoans.BlocksPerLane && TryForget())
            {
            }

            loan = default;
            return _inRing < TopicLoans.BlocksPerLane && TryBorrow(bytes, out loan);
        }
        finally
        {
            _end.Exit();
        }
    }

    private bool TryBorrow(int bytes, out Loan loan)
    {
        loan = default;
        while (true)
        {
            try
            {
                bool lent = _loans.Pool.TryBorrow(bytes, out BlockDescriptor block, out Memory<byte> memory);
                loan = lent ? new Loan(this, block.ToToken(), memory) : default;
                if (lent || !TryForget()) return lent;
            }
            catch (IOException e) when (e is not CorruptSegmentException and not SegmentRemovedException && TryForget())
            {
                // There was no room for so large a block; now there is that of an older one.
            }
        }
    }

    /// <summary>Gives up the oldest message of this lane that is stored in a block, and what was published before
    /// it.</summary>
    /// <returns><see langword="true"/> if the message was given up; otherwise, <see langword="false"/>: there is none,
    /// or a subscriber holds it.</returns>
    private bool TryForget()
    {
        for (long at = _oldest; at < _tail;)
        {
            bool isLoan = (int)(_map.Long(_lane.At(at)) >> 32) == TopicLayout.TypeLoan;
            at += Length(at);
            if (isLoan) return TryAnnounceTo(at + _lane.Capacity);
        }

        return false;
    }

    public override bool TryPublish(in Loan loan, int bytes)
    {
        if (!loan.TryGetToken(this, out SlotToken token))
            throw new ArgumentException("this loan was not borrowed from this publisher", nameof(loan));
        if ((uint)bytes > (uint)loan.Memory.Length)
            throw new ArgumentOutOfRangeException(nameof(bytes),
                $"{bytes:N0} bytes of a loan of {loan.Memory.Length:N0} cannot be published");
        _end.Enter();
        if (!TryClaim(BlockDescriptor.Bytes))
        {
            _end.Exit();
            return false;
        }

        var block = BlockDescriptor.Of(token, bytes);
        if (!_loans.Pool.TryBeginSend(block))
        {
            _end.Exit();
            throw new InvalidOperationException("this loan was already published or returned");
        }

        block.Write(_map, _lane.At(_tail + _padding) + TopicLayout.FrameHeader);
        Publish(BlockDescriptor.Bytes, TopicLayout.TypeLoan);
        _loans.Pool.EndSend(block);
        _inRing++;
        _end.Exit();
        return true;
    }

    // A loan may come back on any thread, and after this end was disposed: its pool stays open until then.
    void ILoanOwner.ReturnLoan(in SlotToken token) => _loans.Pool.ReturnBlock(BlockDescriptor.Of(token, 0));

    void ILoanOwner.Release(in SlotToken token)
    {
        // A publisher holds nothing beyond its messages.
    }

    public override bool WaitToPublish(int bytes, TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        _end.Enter();
        try
        {
            _wanted = bytes;
            return _end.Waiter.Wait(_spin, timeout, new WaitStop(_end, cancellationToken), _waitMode);
        }
        finally
        {
            _end.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WaitToPublishAsync(int bytes, CancellationToken cancellationToken = default)
    {
        CheckSize(bytes);
        _end.Enter();
        try
        {
            _wanted = bytes;
            await _end.Waiter.WaitAsync(new WaitStop(_end, cancellationToken), _waitMode).ConfigureAwait(false);
        }
        finally
        {
            _end.Exit();
        }
    }

    public override void Dispose() => _end.Dispose();

    protected override bool CommitSlot(in SlotToken token, int bytes)
    {
        if (_open != token.Word) return false;
        _open = 0;
        Publish(bytes);
        _end.Exit();
        return true;
    }

    protected override void AbortSlot(in SlotToken token)
    {
        if (_open != token.Word) return;
        _open = 0;
        _end.Exit();
    }

    /// <summary>Continues at the tail, where the lane's last publisher stopped or died. What it had begun behind the
    /// tail was never published.</summary>
    private void Resume()
    {
        // Acquire: pairs with the release in Publish of the publisher before this one, which may have been another process.
        _tail = Volatile.Read(ref _map.Long(_lane.Tail));
        _intent = Volatile.Read(ref _map.Long(_lane.Intent));
        _oldest = Volatile.Read(ref _map.Long(_lane.Oldest));
        if (!_lane.CanHave(_tail, _intent, _oldest))
            throw new CorruptSegmentException($"{_end.Segment.Path}: tail {_tail:N0}, intent {_intent:N0} and oldest {_oldest:N0} "
                + $"cannot be of a ring of {_lane.Capacity:N0} bytes");
        // Whatever was being written behind the tail, its first 16 bytes keep the number of the next message.
        _number = _map.Long(_lane.At(_tail) + 8);
        if (_number < 0) throw new CorruptSegmentException($"{_end.Segment.Path}: the next message at {_tail:N0} has number {_number:N0}");
    }

    /// <summary>Finds room for a frame at the tail; sets the padding that comes before it.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private bool TryClaim(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes || _end.IsRetired) ThrowRefused(bytes);
        long end = _lane.EndOf(_tail, bytes, out _padding);
        return end <= _intent || TryAnnounce(end);
    }

    /// <summary>Announces what will be written over next, for this message and many more.</summary>
    /// <returns><see langword="true"/> if it was announced; otherwise, <see langword="false"/>: a subscriber holds
    /// what would be written over.</returns>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryAnnounce(long end)
    {
        try
        {
            long far = Math.Min((end + _lane.Chunk) & -_lane.Chunk, _tail + _lane.Capacity);
            return TryAnnounceTo(far) || (_subscribers.Policy == SlowSubscriberPolicy.Block && far != end && TryAnnounceTo(end));
        }
        catch
        {
            _end.Exit();
            throw;
        }
    }

    private bool TryAnnounceTo(long intent)
    {
        long first = intent - _lane.Capacity;
        if (!_subscribers.Release(first, _tail))
        {
            _end.Segment.Meter.Full();
            return false;
        }

        long oldest = _oldest;
        while (oldest < first) oldest += Step(oldest);
        _oldest = oldest;
        if (FaultPoints.On) FaultPoints.Reach("topic.publish.announce");
        // Pairs with RingSubscriber.Enter: who comes in either sees this and begins behind it, or is seen by the second look.
        Volatile.Write(ref _map.Long(_lane.Oldest), oldest);
        if (FaultPoints.On) FaultPoints.Reach("topic.publish.oldest");
        if (_subscribers.Policy != SlowSubscriberPolicy.Overwrite)
        {
            Interlocked.MemoryBarrier();
            if (!_subscribers.Release(first, _tail)) return false;
        }

        _intent = intent;
        if (!FaultPoints.On || !FaultPoints.Plants("topic.publish.intent-forgotten")) Volatile.Write(ref _map.Long(_lane.Intent), intent);
        // Full fence: pairs with the read barrier in LaneSubscription. Nobody sees a byte of what follows and the intent of before.
        Interlocked.MemoryBarrier();
        if (FaultPoints.On) FaultPoints.Reach("topic.publish.intent");
        // After the intent: who holds the block by now may read on, and nobody else will find it.
        foreach (BlockDescriptor block in _overwritten) _loans.Pool.End(block);
        _inRing = Math.Max(0, _inRing - _overwritten.Count); // a predecessor's are not counted
        _overwritten.Clear();
        return true;
    }

    /// <summary>Leaves the frame at <paramref name="position"/> to be written over.</summary>
    private long Step(long position)
    {
        if ((int)(_map.Long(_lane.At(position)) >> 32) == TopicLayout.TypeLoan)
            _overwritten.Add(BlockDescriptor.Read(_map, _lane.At(position) + TopicLayout.FrameHeader));
        return Length(position);
    }

    /// <summary>The bytes of the frame at <paramref name="position"/>, checked: they are
    /// shared, so they may be anything.</summary>
    private long Length(long position)
    {
        long header = _map.Long(_lane.At(position));
        if (_lane.IsFrame(header, position, _tail, out long bytes)) return bytes;
        _oldest = _tail; // the next call continues behind it
        int type = (int)(header >> 32);
        throw new CorruptSegmentException(
            $"{_end.Segment.Path}: the frame at {position:N0} has length {(int)header:N0} and type {type}, before tail {_tail:N0}");
    }

    private void Publish(int bytes, int type = TopicLayout.TypeMessage)
    {
        if (FaultPoints.On) FaultPoints.Reach("topic.publish.payload");
        long at = _tail + _padding, end = at + TopicLayout.FrameBytes(bytes);
        long next = _lane.At(end);
        _map.Long(next) = 0;
        _map.Long(next + 8) = _number + 1;
        if (_padding != 0)
        {
            long frame = _lane.At(at);
            _map.Long(frame) = TopicLayout.Header(bytes, type);
            _map.Long(frame + 8) = _number;
        }

        // The number at the tail is there already, and stays: a successor finds it whatever becomes of this one.
        _map.Long(_lane.At(_tail)) = _padding != 0
            ? TopicLayout.Header((int)_padding - TopicLayout.FrameHeader, TopicLayout.TypePadding)
            : TopicLayout.Header(bytes, type);
        if (FaultPoints.On) FaultPoints.Reach("topic.publish.frame");
        _tail = end;
        _number++;
        // Release: pairs with the acquire of the tail in LaneSubscription; the frames must be visible before the tail that covers them.
        Volatile.Write(ref _map.Long(_lane.Tail), _tail);
        if (FaultPoints.On) FaultPoints.Reach("topic.publish.tail");
        _bell.Signal();
        _end.Count(bytes);
    }

    private void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes) throw TooLarge(bytes);
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowRefused(int bytes)
    {
        _end.Exit();
        throw (uint)bytes <= (uint)MaxMessageBytes ? _end.Segment.Retired() : TooLarge(bytes);
    }

    private ArgumentOutOfRangeException TooLarge(int bytes) => new(
        nameof(bytes),
        $"message of {bytes:N0} bytes exceeds the limit of {MaxMessageBytes:N0}, a quarter of the ring of {_lane.Capacity:N0}; raise "
        + $"Capacity, or split the message");
}
