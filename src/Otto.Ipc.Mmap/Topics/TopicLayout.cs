using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Topics;

// A topic's control words and frames. Agrees with docs/layouts.md, which has the protocol.
//
//  control words, 128 bytes each:   0 bell of the subscribers ("something was published")
//                                   for lane n, from 1 + 4n:  tail, intent, oldest, bell of the publisher ("somebody read on")
//                                   then: lanes in use, the highest lane that ever had a publisher, plus one
//                                   where subscribers can hold or be ejected, for each of them:  place, then its position in each lane
//
//  frame, 16-aligned:  0        4        8          10
//                      +--------+--------+----------+---------- - -
//                      | length | type   | number   | payload, to the next multiple of 16
//                      +--------+--------+----------+---------- - -
//                      published by the release store of tail in RingPublisher, never by these bytes.
//                      number counts the lane's messages from 0; the 16 bytes at tail hold the next one's number already.
//
//  Positions count bytes from the topic's beginning and never go back; a position's place is its remainder by the capacity.
//  What lies before intent - capacity may be written over at any time. oldest is where the first whole frame behind that begins.
//  intent - capacity <= oldest <= tail < intent <= tail + capacity, all multiples of 16.

internal static class TopicLayout
{
    public const int FrameHeader = 16;
    public const int TypeMessage = 1;

    /// <summary>The payload names a block.</summary>
    public const int TypeLoan = 2;
    public const int TypePadding = -1;

    /// <summary>A place: bits 0 to 7 say what it is, the rest is one more for each of its users.</summary>
    public const long PlaceMask = 0xFF, PlaceFree = 0, PlaceHeld = 1, PlaceEjected = 2;

    private const int WordsPerLane = 4;

    public static long SubscribersBell(SegmentPlan plan) => plan.Control(0);

    /// <summary>The control word that holds the number of lanes that were ever in use.</summary>
    public static int LanesInUseWord(int lanes) => 1 + lanes * WordsPerLane;

    public static LaneTable Lanes(SegmentFile segment) =>
        new(segment, segment.Plan.Control(LanesInUseWord(segment.Plan.ParameterA)), segment.Plan.ParameterA);

    public static TopicLane Lane(SegmentPlan plan, int lane)
    {
        int first = 1 + lane * WordsPerLane;
        return new TopicLane(
            plan.Control(first), plan.Control(first + 1), plan.Control(first + 2), plan.Control(first + 3),
            plan.DataOffset + lane * plan.Capacity, plan.Capacity);
    }

    public static SlowSubscriberPolicy Policy(SegmentPlan plan) => (SlowSubscriberPolicy)plan.ParameterB;

    /// <summary>Publishers are the participants below the number of lanes, subscribers the
    /// others: neither can crowd out the other.</summary>
    public static ParticipantRange PublisherSeats(SegmentPlan plan) =>
        new(0, plan.ParameterA, "live publishers", nameof(MmapTopicOptions.MaxPublishers));

    public static ParticipantRange SubscriberSeats(SegmentPlan plan) =>
        new(plan.ParameterA, plan.MaxParticipants - plan.ParameterA, "live subscribers", nameof(MmapTopicOptions.MaxSubscribers));

    /// <param name="plan">The topic's.</param>
    /// <param name="subscriber">Its number among the participants.</param>
    public static long Place(SegmentPlan plan, int subscriber) =>
        plan.Control(FirstPlace(plan) + (subscriber - plan.ParameterA) * (1 + plan.ParameterA));

    public static long Position(SegmentPlan plan, int subscriber, int lane) =>
        Place(plan, subscriber) + (1L + lane) * SegmentLayout.ControlBytes;

    public static int ControlWords(int lanes, int subscribers, SlowSubscriberPolicy policy) =>
        2 + lanes * WordsPerLane + (policy == SlowSubscriberPolicy.Overwrite ? 0 : subscribers * (1 + lanes));

    public static long FrameBytes(long length) => (FrameHeader + length + 15) & ~15L;

    /// <summary>A quarter of the ring, so that what is promised to be overwritten next
    /// never reaches round it.</summary>
    public static int MaxMessage(long capacity) => (int)(capacity / 4) - FrameHeader;

    /// <summary>Length and type as one word: what is read once cannot change between two checks of it.</summary>
    public static long Header(int length, int type) => (long)type << 32 | (uint)length;

    private static int FirstPlace(SegmentPlan plan) => 2 + plan.ParameterA * WordsPerLane;
}

/// <summary>Where a lane's words and bytes lie in the segment.</summary>
internal readonly record struct TopicLane(long Tail, long Intent, long Oldest, long PublisherBell, long Data, long Capacity)
{
    /// <summary>How far ahead a publisher announces what it will write over. One announcement covers many
    /// messages.</summary>
    public long Chunk => Capacity / 16;

    public long At(long position) => Data + (position & (Capacity - 1));

    /// <summary>Where the bytes end that a message at the tail would write: its padding, its frame, and the number of
    /// the next.</summary>
    public long EndOf(long tail, int bytes, out long padding)
    {
        long frame = TopicLayout.FrameBytes(bytes);
        long toEnd = Capacity - (tail & (Capacity - 1));
        padding = toEnd < frame ? toEnd : 0;
        return tail + padding + frame + TopicLayout.FrameHeader;
    }

    /// <summary>Whether a lane can have these words: they are shared, so they may be anything.</summary>
    public bool CanHave(long tail, long intent, long oldest) =>
        tail >= 0 && oldest >= 0 && oldest <= tail && tail - oldest <= Capacity && ((tail | oldest | intent) & 15) == 0
        && intent >= 0 && intent - Capacity <= oldest && (intent > tail || (intent | tail) == 0);

    /// <summary>Whether a frame before the tail can have this header, and how many bytes the frame has.</summary>
    public bool IsFrame(long header, long position, long tail, out long bytes)
    {
        bytes = TopicLayout.FrameBytes((int)header);
        return (int)header >= 0
            && (int)(header >> 32) is TopicLayout.TypeMessage or TopicLayout.TypePadding or TopicLayout.TypeLoan
            && bytes <= Capacity - (position & (Capacity - 1)) && position + bytes <= tail;
    }
}

/// <summary>Makes and checks topic segments.</summary>
internal sealed class TopicSpec(MmapTopicOptions options) : ISegmentSpec
{
    public SegmentShape Shape => SegmentShape.Topic;

    public SegmentPlan NewPlan()
    {
        int lanes = options.MaxPublishers ?? MmapTopicOptions.DefaultMaxPublishers;
        return Plan(
            options.Capacity ?? MmapTopicOptions.DefaultCapacity, lanes, options.Policy ?? SlowSubscriberPolicy.Overwrite,
            lanes + (options.MaxSubscribers ?? MmapTopicOptions.DefaultMaxSubscribers));
    }

    public SegmentPlan PlanOf(in FixedHeader header, string path)
    {
        if (!OptionChecks.IsCapacity(header.Capacity))
            throw new CorruptSegmentException($"{path}: capacity is {header.Capacity:N0}, not a power of two from 4,096 to 1 GiB");
        if (header.ParameterA is < 1 or > MmapTopicOptions.MostPublishers)
            throw new CorruptSegmentException($"{path}: {header.ParameterA:N0} lanes, expected 1 to {MmapTopicOptions.MostPublishers}");
        if (!Enum.IsDefined((SlowSubscriberPolicy)header.ParameterB))
            throw new CorruptSegmentException($"{path}: no such policy: {header.ParameterB}");
        int subscribers = header.MaxParticipants - header.ParameterA;
        if (subscribers is < 1 or > MmapTopicOptions.MostSubscribers)
            throw new CorruptSegmentException(
                $"{path}: {subscribers:N0} subscribers at most, expected 1 to {MmapTopicOptions.MostSubscribers}");
        Match(options.Capacity, header.Capacity, nameof(options.Capacity), path);
        Match(options.MaxPublishers, header.ParameterA, nameof(options.MaxPublishers), path);
        Match(options.MaxSubscribers, subscribers, nameof(options.MaxSubscribers), path);
        if (options.Policy is { } policy && (int)policy != header.ParameterB)
            throw new SegmentMismatchException($"{path}: policy {policy} was asked for, the topic has "
                + $"{(SlowSubscriberPolicy)header.ParameterB}; leave it out, or remove the topic first");
        return Plan(header.Capacity, header.ParameterA, (SlowSubscriberPolicy)header.ParameterB, header.MaxParticipants);
    }

    public void Initialise(SegmentMapping mapping, SegmentPlan plan)
    {
        // All words of a new topic are zero, as the file's are; the next message of each lane has number 0.
    }

    public string? PendingWork(SegmentMapping mapping, in FixedHeader header, string path) => null; // as for a topic that nobody has open

    private static SegmentPlan Plan(long capacity, int lanes, SlowSubscriberPolicy policy, int participants) => new()
    {
        Shape = SegmentShape.Topic,
        Capacity = capacity,
        ParameterA = lanes,
        ParameterB = (int)policy,
        MaxParticipants = participants,
        ControlWords = TopicLayout.ControlWords(lanes, participants - lanes, policy),
        DataBytes = capacity * lanes,
    };

    private static void Match(int? wanted, long actual, string what, string path)
    {
        if (wanted is { } w && w != actual)
            throw new SegmentMismatchException(
                $"{path}: {what} {w:N0} was asked for, the topic has {actual:N0}; leave it out, or remove the topic first");
    }
}
