using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Endpoints;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Topics;

// A subscriber stays with a lane while it pays, for a bounded run, and then gives each other lane in use its turn. Lanes that come into use
// later are heard from their first message.

internal sealed class RingSubscriber : MessageSubscriber, IReadiness
{
    private const int FirstBuffer = 1024;
    private const int RunMessages = 128;
    private readonly ParticipantEndpoint _end;
    private readonly SegmentMapping _map;
    private readonly LaneSubscription[] _lanes;
    private readonly LaneTable _table;
    private readonly Subscribers _subscribers;
    private readonly SpinBudget _spin;
    private readonly WaitMode _waitMode;
    private readonly long _place;
    private readonly BatchingPause _gathering;
    private readonly RingLoans<TopicLoans> _loans;
    private BlockDescriptor _held;
    private LaneSubscription _lane;
    private byte[] _buffer = GC.AllocateUninitializedArray<byte>(FirstBuffer);
    private int _run;
    private int _received;

    public RingSubscriber(SegmentFile segment, MmapTopicOptions options, StartPosition startAt)
    {
        _map = segment.Mapping;
        _table = TopicLayout.Lanes(segment);
        _subscribers = new Subscribers(segment, lane: 0);
        _loans = new RingLoans<TopicLoans>(segment, options.MaxLoanBytes, options.WritableLoans);
        _spin = new SpinBudget(options.SpinLimit);
        _waitMode = options.WaitMode;
        _end = new ParticipantEndpoint(segment, ParticipantRoles.Subscribes, TopicLayout.SubscribersBell(segment.Plan), this,
            _subscribers.Repair, TopicLayout.SubscriberSeats(segment.Plan))
        {
            Looking = _loans.RunMaintenance,
            Leaving = Leave,
        };
        bool hasPlace = _subscribers.Policy != SlowSubscriberPolicy.Overwrite;
        long place = hasPlace ? TopicLayout.Place(segment.Plan, _end.Me) : 0;
        _gathering = new BatchingPause(segment.Plan.Capacity, options.SpinLimit);
        _lanes = new LaneSubscription[segment.Plan.ParameterA];
        for (int i = 0; i < _lanes.Length; i++)
            _lanes[i] = new LaneSubscription(segment, i, hasPlace ? TopicLayout.Position(segment.Plan, _end.Me, i) : 0,
                _subscribers.Policy == SlowSubscriberPolicy.Disconnect ? place : 0, _loans);
        _lane = _lanes[0];
        try
        {
            foreach (LaneSubscription lane in _lanes) lane.Begin(startAt, counts: false);
            if (hasPlace)
            {
                _place = place;
                Enter(startAt, counts: false);
            }

            _end.StartHousekeeping();
        }
        catch
        {
            _end.Dispose();
            throw;
        }
    }

    public override long Lost
    {
        get
        {
            long lost = 0;
            foreach (LaneSubscription lane in _lanes) lost += lane.Lost;
            return lost;
        }
    }

    /// <summary>Checks whether the current waiter has something to read: a frame, or its ejection.</summary>
    public bool Poll()
    {
        int inUse = _table.InUse;
        for (int i = 0; i < inUse; i++)
        {
            if (_lanes[i].HasFrames) return true;
        }

        return IsEjected || _end.IsRetired;
    }

    private bool IsEjected => _place != 0 && (Volatile.Read(ref _map.Long(_place)) & TopicLayout.PlaceMask) == TopicLayout.PlaceEjected;

    public override bool TryReceive(out TopicFrame message)
    {
        _end.Enter();
        try
        {
            ReleaseLease();
            if (IsEjected) ThrowEjected();
            if (_run-- > 0 && _lane.TryNext(ref _buffer, out int length, out long lost) || TryOthers(out length, out lost))
            {
                _held = _lane.Held;
                message = new TopicFrame(_held.File == 0 ? _buffer.AsSpan(0, length) : _loans.Pool.Read(_held).Span, lost);
                _end.Count(message.Bytes.Length);
                _received++;
                return true;
            }

            if (_end.IsRetired) throw _end.Segment.Retired();
            message = default;
            return false;
        }
        finally
        {
            _end.Exit();
        }
    }

    public override long ResumeFrom(StartPosition startAt)
    {
        if (!Enum.IsDefined(startAt)) throw new ArgumentOutOfRangeException(nameof(startAt), $"no such start: {(int)startAt}");
        _end.Enter();
        try
        {
            ReleaseLease();
            long lost = 0;
            foreach (LaneSubscription lane in _lanes) lost += lane.Begin(startAt, counts: true);
            return IsEjected ? lost + Enter(startAt, counts: true) : lost;
        }
        finally
        {
            _end.Exit();
        }
    }

    public override bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default)
    {
        _end.Enter();
        try
        {
            PublishPositions();
            LetSomeGather();
            return _end.Waiter.Wait(_spin, timeout, new WaitStop(_end, cancellationToken), _waitMode);
        }
        finally
        {
            _end.Exit();
        }
    }

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public override async ValueTask WaitToReceiveAsync(CancellationToken cancellationToken = default)
    {
        _end.Enter();
        try
        {
            PublishPositions();
            LetSomeGather();
            await _end.Waiter.WaitAsync(new WaitStop(_end, cancellationToken), _waitMode).ConfigureAwait(false);
        }
        finally
        {
            _end.Exit();
        }
    }

    public override void Dispose() => _end.Dispose();

    /// <summary>Takes the place, and makes sure that no publisher has passed it by since
    /// the positions were chosen.</summary>
    /// <returns>How many messages were lost meanwhile, where they count.</returns>
    private long Enter(StartPosition startAt, bool counts)
    {
        long lost = 0;
        ref long place = ref _map.Long(_place);
        if (FaultPoints.On) FaultPoints.Reach("topic.enter.positions");
        // Release: pairs with the acquire in Subscribers.IsBehind; the positions are there before the place is held.
        Volatile.Write(ref place, ((((Volatile.Read(ref place) >>> 8) + 1) << 8) & ~TopicLayout.PlaceMask) | TopicLayout.PlaceHeld);
        if (FaultPoints.On) FaultPoints.Reach("topic.enter.place");
        foreach (LaneSubscription lane in _lanes)
        {
            do
            {
                // Full fence: pairs with the one in RingPublisher.TryAnnounceTo.
                Interlocked.MemoryBarrier();
                if (!lane.IsOvertaken) break;
                lost += lane.Begin(startAt, counts);
            }
            while (!IsEjected);
        }

        return lost;
    }

    private void LetSomeGather()
    {
        _gathering.AfterTaking(_received);
        _received = 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryOthers(out int length, out long lost)
    {
        length = 0;
        lost = 0;
        int inUse = _table.InUse, first = _lane.Index;
        for (int step = 1; step <= inUse; step++)
        {
            // Moved to before it is looked at: a lane whose bytes are wrong throws, and the next call goes on behind it.
            _lane = _lanes[(first + step) % inUse];
            _run = 0;
            if (!_lane.TryNext(ref _buffer, out length, out lost)) continue;
            _run = RunMessages;
            _end.Waiter.NoteBusy();
            return true;
        }

        _run = 0;
        return false;
    }

    private void PublishPositions()
    {
        foreach (LaneSubscription lane in _lanes) lane.PublishPosition();
    }

    /// <summary>Lets the block of the message before go; its bytes were valid until now.</summary>
    private void ReleaseLease()
    {
        if (_held.File == 0) return;
        _loans.Pool.ReleaseHold(_held);
        _held = default;
    }

    private void Leave()
    {
        ReleaseLease();
        _loans.Close();
        if (_place == 0) return;
        _subscribers.Leave(_end.Me);
        _subscribers.RingPublishers();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void ThrowEjected() => throw new SubscriberDisconnectedException(
        $"{_end.Segment.Path}: this subscriber fell behind by more than the topic keeps and was disconnected; continue with ResumeFrom, "
        + $"which returns how many messages were lost; read more often, or raise Capacity");
}
