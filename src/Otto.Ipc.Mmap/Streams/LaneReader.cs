using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

// One lane as its receiver sees it: the receiver's own head, a copy of the sender's tail, so that the sender's line is read only when
// the copy is used up, and the end of the present run, after which the other lanes have their turn.

internal sealed class LaneReader(SegmentFile segment, int index)
{
    // A few hundred small messages: enough to hide the look at the other lanes, too little to be noticed by them.
    private const long RunBytes = 1 << 14;

    private readonly SegmentMapping _map = segment.Mapping;
    private readonly LaneOffsets _at = RingLayout.Lane(segment.Plan, index);
    private readonly Doorbell _senderBell = new(segment.Mapping, RingLayout.Lane(segment.Plan, index).SenderBell);
    private long _head;
    private long _cachedTail;
    private long _runEnd;

    public int Index => index;

    /// <summary>Whether there is anything to read, valid or not. Any thread may call it.</summary>
    public bool HasFrames => Volatile.Read(ref _map.Long(_at.Tail)) != Volatile.Read(ref _head);

    /// <summary>Whether all was read, and the sender said that no more would come.</summary>
    // Acquire: pairs with the release in RingSender.Complete. Only a completion at this very position counts: all before it was read.
    public bool IsCompleted => Volatile.Read(ref _map.Long(_at.Completed)) == Volatile.Read(ref _head) + 1;

    /// <summary>Continues where the receiver before this one stopped.</summary>
    public void Resume()
    {
        // Acquire: pairs with the release in Consume of the receiver before this one.
        _head = Volatile.Read(ref _map.Long(_at.Head));
        _cachedTail = _runEnd = _head;
        if (_head < 0 || (_head & 7) != 0) throw Corrupt($"head is {_head:N0}, which no receiver stored");
        _ = ReadTail();
    }

    /// <summary>Begins a run, if there is something to read.</summary>
    public bool TryBeginRun()
    {
        if (_head == _cachedTail) _cachedTail = ReadTail();
        _runEnd = Math.Min(_cachedTail, _head + RunBytes);
        return _head != _cachedTail;
    }

    /// <summary>The length of the next message of the run; negative for anything else, and
    /// <see cref="TryNextSlowly"/> knows what it is.</summary>
    public int NextLength
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get
        {
            long head = _head, capacity = _at.Capacity, offset = head & (capacity - 1);
            if (head >= _runEnd) return -1;
            // One comparison for the type and the sign: a message's header is its length, and 1 above it.
            ulong header = (ulong)_map.Long(_at.Data + offset) - ((ulong)RingLayout.TypeMessage << 32);
            long frame = RingLayout.FrameBytes((long)header);
            return header <= int.MaxValue && offset + frame <= capacity && head + frame <= _cachedTail ? (int)header : -1;
        }
    }

    /// <summary>Where its bytes are.</summary>
    public long NextPayloadAt
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        get => _at.Data + (_head & (_at.Capacity - 1)) + RingLayout.FrameHeader;
    }

    /// <summary>Finds the next message of the run, stepping over padding.</summary>
    /// <returns><see langword="true"/> if there is a message; otherwise, <see langword="false"/>: the run is
    /// over.</returns>
    /// <exception cref="CorruptSegmentException">A frame fails its check.</exception>
    public bool TryNextSlowly(out long payloadAt, out int length, out bool isLoan)
    {
        isLoan = false;
        (payloadAt, length) = (0, 0);
        // At most twice: padding reaches to the end of the ring, and a message begins there.
        for (int step = 0; step < 2; step++)
        {
            payloadAt = NextPayloadAt;
            length = NextLength;
            if (length >= 0) return true;
            if (_head >= _runEnd) return false;
            long offset = _head & (_at.Capacity - 1), header = _map.Long(_at.Data + offset);
            long bytes = RingLayout.FrameBytes((int)header);
            if ((int)(header >> 32) == RingLayout.TypeLoan && (int)header == BlockDescriptor.Bytes && bytes <= Limit(offset))
            {
                length = BlockDescriptor.Bytes;
                return isLoan = true;
            }

            if ((int)header < 0 || bytes > Limit(offset) || (int)(header >> 32) != RingLayout.TypePadding || bytes != _at.Capacity - offset)
                throw BadFrame(header, Limit(offset));
            Consume(bytes);
            // Padding was published together with the message behind it, so the run goes on there.
            _runEnd = Math.Min(_cachedTail, Math.Max(_runEnd, _head + 1));
        }

        throw BadFrame(0, 0);
    }

    /// <summary>Ends the run: the other lanes have their turn.</summary>
    public void EndRun() => _runEnd = _head;

    /// <summary>Counts bytes as read.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Consume(long bytes)
    {
        if (FaultPoints.On) FaultPoints.Reach("stream.consume.before");
        _head += bytes;
        // Release: pairs with the acquire in RingSender.ReadHead; the bytes are read before the sender may write over them.
        Volatile.Write(ref _map.Long(_at.Head), _head);
        if (FaultPoints.On) FaultPoints.Reach("stream.consume.head");
        _senderBell.Signal();
    }

    /// <summary>The bytes that a frame at this place can have: to the tail, and to the end of the ring.</summary>
    private long Limit(long offset) => Math.Min(_cachedTail - _head, _at.Capacity - offset);

    /// <summary>The sender's tail, checked: it is shared, so it may hold anything.</summary>
    private long ReadTail()
    {
        // Acquire: pairs with the release in RingSender.Publish; the frames up to it are whole.
        long tail = Volatile.Read(ref _map.Long(_at.Tail));
        if (tail - _head < 0 || tail - _head > _at.Capacity || (tail & 7) != 0)
            throw Corrupt($"tail {tail:N0} cannot follow head {_head:N0} in a ring of {_at.Capacity:N0} bytes");
        return tail;
    }

    private CorruptSegmentException BadFrame(long header, long limit)
    {
        EndRun();
        return Corrupt($"the frame at {_head:N0} has length {(int)header:N0} and type {header >> 32}, with {limit:N0} bytes there");
    }

    private CorruptSegmentException Corrupt(string what) => new($"{segment.Path}: lane {index}: {what}");
}
