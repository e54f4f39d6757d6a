using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

// A stream's control words and frames. Agrees with docs/layouts.md.
//
//  control words, 128 bytes each:   0 bell of the receiver ("something was sent")
//                                   for lane n, from 1 + 4n:  tail, head, bell of the sender ("something was read"), completed
//                                   last: lanes in use, the highest lane that ever had a sender, plus one
//
//  frame, 8-aligned:   0        4        8
//                      +--------+--------+---------- - -
//                      | length | type   | payload, to the next multiple of 8
//                      +--------+--------+---------- - -
//                      published by the release store of tail in RingSender, never by these bytes.
//
//  Positions count bytes from the stream's beginning and never go back; a position's place is its remainder by the capacity.
//  tail is stored by the sender alone, head by the receiver alone: head <= tail <= head + capacity, all multiples of 8.
//  completed is zero, or the tail at which the sender said that no more would come, plus one.
//  lanes in use only grows, by a CAS of a sender that holds its lane and has not yet published there: a receiver need not look further.

internal static class RingLayout
{
    public const int FrameHeader = 8;
    public const int TypeMessage = 1;

    /// <summary>The payload names a block.</summary>
    public const int TypeLoan = 2;
    public const int TypePadding = -1;

    /// <summary>The exclusive role of the stream's receiver; those of its lanes follow.</summary>
    public const int ReceiverRole = 0;

    private const int WordsPerLane = 4;

    public static int ControlWords(int lanes) => 2 + lanes * WordsPerLane;

    public static long ReceiverBell(SegmentPlan plan) => plan.Control(0);

    /// <summary>The control word that holds the number of lanes that were ever in use.</summary>
    public static int LanesInUseWord(int lanes) => 1 + lanes * WordsPerLane;

    public static LaneTable Lanes(SegmentFile segment) =>
        new(segment, segment.Plan.Control(LanesInUseWord(segment.Plan.ParameterA)), segment.Plan.ParameterA);

    public static LaneOffsets Lane(SegmentPlan plan, int lane)
    {
        int first = 1 + lane * WordsPerLane;
        return new LaneOffsets(
            plan.Control(first), plan.Control(first + 1), plan.Control(first + 2), plan.Control(first + 3),
            plan.DataOffset + lane * plan.Capacity, plan.Capacity);
    }

    public static long FrameBytes(long length) => (FrameHeader + length + 7) & ~7L;

    public static int MaxMessage(long capacity) => (int)(capacity / 2) - FrameHeader;

    /// <summary>Length and type as one word: what is read once cannot change between two checks of it.</summary>
    public static long Header(int length, int type) => (long)type << 32 | (uint)length;
}

/// <summary>Where a lane's words and bytes lie in the segment.</summary>
internal readonly record struct LaneOffsets(long Tail, long Head, long SenderBell, long Completed, long Data, long Capacity);

/// <summary>Makes and checks stream segments.</summary>
internal sealed class StreamSpec(MmapStreamOptions options) : ISegmentSpec
{

    public SegmentShape Shape => SegmentShape.Stream;

    public SegmentPlan NewPlan()
    {
        int lanes = options.MaxSenders ?? MmapStreamOptions.DefaultMaxSenders;
        return Plan(options.Capacity ?? MmapStreamOptions.DefaultCapacity, lanes, Math.Max(16, lanes + 8));
    }

    public SegmentPlan PlanOf(in FixedHeader header, string path)
    {
        if (!OptionChecks.IsCapacity(header.Capacity))
            throw new CorruptSegmentException($"{path}: capacity is {header.Capacity:N0}, not a power of two from 4,096 to 1 GiB");
        if (header.ParameterA is < 1 or > MmapStreamOptions.MostSenders)
            throw new CorruptSegmentException($"{path}: {header.ParameterA:N0} lanes, expected 1 to {MmapStreamOptions.MostSenders}");
        if (header.MaxParticipants is < 1 or > SegmentLayout.MaxParticipantsLimit)
            throw new CorruptSegmentException(
                $"{path}: {header.MaxParticipants:N0} participants, expected 1 to {SegmentLayout.MaxParticipantsLimit:N0}");
        if (options.Capacity is { } wanted && wanted != header.Capacity)
            throw new SegmentMismatchException($"{path}: capacity {wanted:N0} was asked for, the stream has {header.Capacity:N0}; leave "
                + $"it out, or remove the stream first");
        if (options.MaxSenders is { } senders && senders != header.ParameterA)
            throw new SegmentMismatchException($"{path}: {senders:N0} senders at most were asked for, the stream can have "
                + $"{header.ParameterA:N0}; leave it out, or remove the stream first");
        return Plan(header.Capacity, header.ParameterA, header.MaxParticipants);
    }

    public void Initialise(SegmentMapping mapping, SegmentPlan plan)
    {
        // All words of a new stream are zero, as the file's are.
    }

    public string? PendingWork(SegmentMapping mapping, in FixedHeader header, string path)
    {
        SegmentPlan plan = SegmentFile.PlanOf(new StreamSpec(new MmapStreamOptions()), header, path);
        long unread = 0;
        for (int i = 0; i < plan.ParameterA; i++)
        {
            LaneOffsets lane = RingLayout.Lane(plan, i);
            unread += Math.Abs(mapping.Long(lane.Tail) - mapping.Long(lane.Head));
        }

        return unread == 0 ? null : $"{unread:N0} bytes that were sent and not read";
    }

    private static SegmentPlan Plan(long capacity, int lanes, int participants) => new()
    {
        Shape = SegmentShape.Stream,
        Capacity = capacity,
        ParameterA = lanes,
        ParameterB = 0,
        MaxParticipants = participants,
        ControlWords = RingLayout.ControlWords(lanes),
        DataBytes = capacity * lanes,
    };
}
