using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Endpoints;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Topics;

// One lane as a subscriber hears it. A frame is copied out first and believed afterwards: only if the publisher had not said, by then, that
// it may write over it. The number in each frame tells exactly how many messages lie between two that were heard.

internal sealed class LaneSubscription
{
    private const int MostTries = 64;
    private const int TriesForOldest = 8; // beside a publisher that is quicker than these, only the tail stands still long enough
    private readonly SegmentMapping _map;
    private readonly TopicLane _lane;
    private readonly Doorbell? _publisherBell;
    private readonly RingLoans<TopicLoans> _loans;
    private readonly string _path;
    private readonly int _index;
    private readonly int _maxMessage;
    private readonly long _position;
    private readonly long _ejectable;
    private long _at;
    private long _next;
    private long _cachedTail;
    private long _published;
    private long _lost;

    /// <param name="segment">The topic.</param>
    /// <param name="index">Which lane.</param>
    /// <param name="position">The word that shows the publisher how far this subscriber has read, or zero if no
    /// publisher needs it.</param>
    /// <param name="ejectable">The place that this subscriber can be ejected from, or zero if the policy does not
    /// eject.</param>
    /// <param name="loans">The topic's blocks.</param>
    public LaneSubscription(SegmentFile segment, int index, long position, long ejectable, RingLoans<TopicLoans> loans)
    {
        _loans = loans;
        _map = segment.Mapping;
        _path = segment.Path;
        _index = index;
        _lane = TopicLayout.Lane(segment.Plan, index);
        _maxMessage = TopicLayout.MaxMessage(_lane.Capacity);
        _position = position;
        _ejectable = ejectable;
        if (position != 0) _publisherBell = new Doorbell(_map, _lane.PublisherBell);
    }

    public int Index => _index;

    /// <summary>The block that holds the message taken last, where it is in one; held until
    /// its taker lets it go.</summary>
    public BlockDescriptor Held { get; private set; }

    /// <summary>Messages lost in this lane so far.</summary>
    public long Lost { get; private set; }

    /// <summary>Whether there is anything to read, valid or not. Any thread may call it.</summary>
    public bool HasFrames => Volatile.Read(ref _map.Long(_lane.Tail)) != Volatile.Read(ref _at);

    /// <summary>Whether the publisher has left behind what this lane's reading begins with.</summary>
    public bool IsOvertaken => Volatile.Read(ref _map.Long(_lane.Oldest)) > _at;

    /// <summary>Goes to the tail, or to the oldest frame that was not read yet, and reports the position to the
    /// publisher.</summary>
    /// <param name="startAt">Which of them.</param>
    /// <param name="counts">Whether the messages that are passed over count as lost. A new subscriber loses
    /// nothing.</param>
    /// <returns>The number of lost messages, including those that no message has reported yet.</returns>
    public long Begin(StartPosition startAt, bool counts)
    {
        for (int i = 0; i < MostTries; i++)
        {
            long to = startAt == StartPosition.Now || i >= TriesForOldest ? ReadTail(_at)
                : Math.Max(Volatile.Read(ref _map.Long(_lane.Oldest)), _at);
            if (!TryGoTo(to, out long number)) continue;
            if (counts) CountTo(number);
            _next = number;
            long lost = _lost;
            _lost = 0;
            // Told even where it begins at zero: the word holds what this place's last user had read.
            _published = -1;
            PublishPosition();
            return lost;
        }

        throw new IOException($"{_path}: lane {_index} is overwritten faster than it can be read; raise Capacity");
    }

    /// <summary>Takes the next message.</summary>
    /// <param name="buffer">Where it goes; grown where it is too small.</param>
    /// <param name="length">Its bytes.</param>
    /// <param name="lost">How many messages were lost right before it.</param>
    /// <returns><see langword="true"/> if a message was taken; otherwise, <see langword="false"/>: there is none
    /// now.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryNext(ref byte[] buffer, out int length, out long lost)
    {
        lost = 0;
        length = 0;
        Held = default;
        if (_at == _cachedTail && !TryRefreshTail()) return false;
        long at = _lane.At(_at), header = _map.Long(at);
        length = (int)header;
        // The common case alone: a message that fits, with nothing lost before it. Everything else is told apart in TryNextSlowly.
        if ((int)(header >> 32) != TopicLayout.TypeMessage || (uint)length > (uint)buffer.Length || _map.Long(at + 8) != _next || _lost != 0
            || TopicLayout.FrameBytes(length) > Limit())
            return TryNextSlowly(ref buffer, out length, out lost);
        if (FaultPoints.On) FaultPoints.Reach("topic.read.header");
        InlineCopy.Copy(_map.Bytes(at + TopicLayout.FrameHeader, length), ref MemoryMarshal.GetArrayDataReference(buffer));
        if (FaultPoints.On) FaultPoints.Reach("topic.read.copied");
        // Pairs with the full fence in RingPublisher.TryAnnounceTo: the copy is done before the intent is read.
        Volatile.ReadBarrier();
        if (!IsWhole(_at)) return TryNextSlowly(ref buffer, out length, out lost);
        Step(TopicLayout.FrameBytes(length));
        _next++;
        return true;
    }

    /// <summary>Reports to the publisher how far this lane was read, and wakes it if it waits for that.</summary>
    public void PublishPosition()
    {
        if (_publisherBell is null || _published == _at) return;
        _published = _at;
        if (FaultPoints.On) FaultPoints.Reach("topic.read.before");
        // Release: pairs with the read in Subscribers.IsBehind; the bytes are copied before the publisher may write over them.
        Volatile.Write(ref _map.Long(_position), _at);
        if (FaultPoints.On) FaultPoints.Reach("topic.read.position");
        _publisherBell.Signal();
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryNextSlowly(ref byte[] buffer, out int length, out long lost)
    {
        for (int i = 0; i < MostTries; i++)
        {
            length = 0;
            lost = 0;
            if (_at == _cachedTail && !TryRefreshTail()) return false;
            long at = _lane.At(_at), header = _map.Long(at), number = _map.Long(at + 8);
            int type = (int)(header >> 32);
            length = (int)header;
            bool plausible = length >= 0 && length <= (type == TopicLayout.TypePadding ? _lane.Capacity : _maxMessage)
                && TopicLayout.FrameBytes(length) <= Limit()
                && (type is TopicLayout.TypeMessage or TopicLayout.TypePadding
                || (type == TopicLayout.TypeLoan && length == BlockDescriptor.Bytes)) && number == _next;
            if (plausible && type == TopicLayout.TypeMessage)
            {
                if (length > buffer.Length)
                    buffer = GC.AllocateUninitializedArray<byte>(
                        Math.Min(_maxMessage, (int)System.Numerics.BitOperations.RoundUpToPowerOf2((uint)length)));
                _map.Bytes(at + TopicLayout.FrameHeader, length).CopyTo(buffer);
            }

            BlockDescriptor block = plausible && type == TopicLayout.TypeLoan ? BlockDescriptor.Read(_map, at + TopicLayout.FrameHeader)
                : default;
            Volatile.ReadBarrier(); // as in TryNext
            if (!IsWhole(_at))
            {
                if (TryJump()) continue;
                length = 0;
                return false;
            }

            // Held before it is asked once more whether the frame still stands: then the block cannot go while it is read.
            // Without a seat in the pool it is copied, and believed under the same condition.
            bool held = block.File != 0 && _loans.Pool.TryHold(block);
            bool copied = block.File != 0 && !held && !_loans.Pool.HasSeat && _loans.Pool.TryCopy(block, ref buffer);
            if (held || copied) Interlocked.MemoryBarrier();
            if (block.File != 0 && (!IsWhole(_at) || (!held && IsOvertaken)))
            {
                if (held) _loans.Pool.ReleaseHold(block);
                if (TryJump()) continue;
                length = 0;
                return false;
            }

            if (block.File != 0 && !held && !copied)
            {
                // Not to be met again: the other lanes, and what comes behind it, are heard.
                Step(TopicLayout.FrameBytes(length));
                _next++;
                throw Corrupt($"the frame at {_at:N0} names block {block.Block:N0}, file {block.File:N0}, generation "
                    + $"{block.Generation:N0}, which is not lent");
            }

            Held = held ? block : default;
            int frame = length;
            if (copied) length = block.Length;

            if (!plausible) throw Corrupt($"the frame at {_at:N0} has length {length:N0}, type {type} and number {number:N0}, expected "
                + $"{_next:N0}, before tail {_cachedTail:N0}");
            Step(TopicLayout.FrameBytes(frame));
            if (type == TopicLayout.TypePadding) continue;
            _next++;
            lost = _lost;
            _lost = 0;
            return true;
        }

        // Written over each time it was about to be read: what is there now is for the next call.
        length = 0;
        lost = 0;
        return false;
    }

    private void Step(long bytes)
    {
        Volatile.Write(ref _at, _at + bytes);
        if (_publisherBell is not null && _at - _published >= _lane.Chunk) PublishPosition();
    }

    /// <summary>Continues with the oldest message that is still there, or else with the next one, and counts the
    /// messages between.</summary>
    /// <returns><see langword="true"/> if reading can continue; otherwise, <see langword="false"/>: the subscriber was
    /// ejected. The next call must then report the ejection and must not return a message from behind the
    /// gap.</returns>
    private bool TryJump()
    {
        if (_ejectable != 0)
        {
            // Acquire: pairs with the CAS in Subscribers.Release. A publisher ejects before it moves oldest and intent on, so who is
            // overtaken and not ejected reads words that no publisher wrote.
            if ((Volatile.Read(ref _map.Long(_ejectable)) & TopicLayout.PlaceMask) == TopicLayout.PlaceEjected) return false;
            throw Corrupt($"position {_at:N0} is written over, and its subscriber was not ejected");
        }

        long behind = _at;
        for (int i = 0; i < MostTries; i++)
        {
            long to = i < TriesForOldest ? Volatile.Read(ref _map.Long(_lane.Oldest)) : ReadTail(behind);
            if (to <= behind && IsWhole(behind)) continue; // only oldest has moved on, a moment ago
            if (to <= behind) throw Corrupt($"position {behind:N0} is written over, and oldest is {to:N0}");
            if (!TryGoTo(to, out long number)) continue;
            CountTo(number);
            break;
        }

        return true;
    }

    /// <summary>Counts the messages between the next message and that number as lost.</summary>
    private void CountTo(long number)
    {
        if (number < _next) throw Corrupt($"the frame at {_at:N0} has number {number:N0}, after {_next:N0}");
        _lost += number - _next;
        Lost += number - _next;
        _next = number;
    }

    /// <summary>Moves to the beginning of a frame, if it is still whole.</summary>
    private bool TryGoTo(long position, out long number)
    {
        number = 0;
        long tail = ReadTail(0);
        if (position < 0 || position > tail || (position & 15) != 0)
            throw Corrupt($"position {position:N0} cannot be a frame's, before tail {tail:N0}");
        // The first is number 0: the bytes of a lane without publishers are not touched.
        number = position == 0 ? 0 : _map.Long(_lane.At(position) + 8);
        Volatile.ReadBarrier(); // as in TryNext
        if (!IsWhole(position)) return false;
        if (number < 0) throw Corrupt($"the frame at {position:N0} has number {number:N0}");
        Volatile.Write(ref _at, position);
        _cachedTail = tail;
        return true;
    }

    private bool TryRefreshTail()
    {
        _cachedTail = ReadTail(_at);
        if (_at != _cachedTail) return true;
        PublishPosition();
        return false;
    }

    private bool IsWhole(long position) => Volatile.Read(ref _map.Long(_lane.Intent)) - _lane.Capacity <= position;

    /// <summary>The bytes that a frame here can have: to the tail, and to the end of the ring.</summary>
    private long Limit() => Math.Min(_cachedTail - _at, _lane.Capacity - (_at & (_lane.Capacity - 1)));

    /// <summary>The publisher's tail, checked: it is shared, so it may hold anything.</summary>
    private long ReadTail(long least)
    {
        // Acquire: pairs with the release in RingPublisher.Publish; the frames up to it are whole, as far as they are not written over.
        long tail = Volatile.Read(ref _map.Long(_lane.Tail));
        return tail >= least && (tail & 15) == 0 ? tail : throw Corrupt($"tail {tail:N0} cannot follow {least:N0}");
    }

    private CorruptSegmentException Corrupt(string what) => new($"{_path}: lane {_index}: {what}");
}
