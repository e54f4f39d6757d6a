using System.Numerics;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// A queue's control words, index cells and slots. Agrees with docs/layouts.md, which also has the protocol.
//
//  control words, 128 bytes each:  0 free head  1 free tail  2 ready head  3 ready tail
//                                  4 bell of the workers  5 bell of the senders  6 membership (changes when workers come and go)
//                                  7 when to look at the delayed  8 totals (QueueTotals)  9 when the first kept one is over
//                                  10 how often a message was set aside
//  data:  cells of the free index queue | cells of the ready index queue | when to look at each group of the delayed | slots, 64-aligned
//         | index, 128-aligned
//
//  slot:  00       08       0C     0D     10          18          20          28          30
//         +--------+--------+------+------+-----------+-----------+-----------+-----------+-------- - - ---------+------- - -
//         | word   | length | kind | tags | sent at   | not before| use       | leased at | payload (slot bytes) | labels
//         +--------+--------+------+------+-----------+-----------+-----------+-----------+-------- - - ---------+------- - -
//         leased at: LeaseTime.cs. The last 18 bytes of the labels are the history of the message: SlotHistory.cs
//         word is the only field that is ever contended; the rest belongs to whom the word names.
//
//  labels, from the next multiple of 8 behind the payload; only those count that the tags name:
//         00        10        18          20       24       28       2C       30        38
//         +---------+---------+-----------+--------+--------+--------+--------+---------+------- - -
//         | id (16) | key     | until     | keep   | intent | length | kind   | subject | note, or result
//         +---------+---------+-----------+--------+--------+--------+--------+---------+------- - -

internal sealed class QueueLayout
{
    public const int Length = 0x08, Kind = 0x0C, Tags = 0x0D, SentAt = 0x10, NotBefore = 0x18, Use = 0x20, LeasedAt = 0x28,
        Payload = 0x30;

    /// <summary>Fields of the labels. Until: milliseconds. Keep: seconds. Intent: what an offered message becomes.
    /// Length and kind: of the note or result. Subject: of what is passed over; of what is kept, its order.</summary>
    public const int LabelId = 0x00, LabelKey = 0x10, Until = 0x18, Keep = 0x20, Intent = 0x24, NoteLength = 0x28, NoteKind = 0x2C,
        Subject = 0x30, Note = 0x38;
    public const int NoteBytes = 192;

    /// <summary>After the note: what is known of the message's earlier leases. See SlotHistory.</summary>
    public const int HistoryBytes = 24;
    public const int KindInline = 0, KindLoan = 1;
    public const int ControlWords = 11;

    /// <summary>The number of slots that have one word for when to check their delayed messages.</summary>
    public const int GroupSlots = 128;

    public QueueLayout(SegmentPlan plan)
    {
        Slots = (int)plan.Capacity;
        SlotBytes = plan.ParameterA;
        MaxAttempts = plan.ParameterB;
        Cells = CellsFor(Slots);
        FreeCells = plan.DataOffset;
        ReadyCells = FreeCells + Cells * 8L;
        Groups = GroupsFor(Slots);
        FirstGroup = SegmentLayout.Align(ReadyCells + Cells * 8L, 64);
        FirstSlot = SegmentLayout.Align(FirstGroup + Groups * 8L, 64);
        Stride = StrideFor(SlotBytes);
        FirstBucket = SegmentLayout.Align(FirstSlot + Slots * Stride, SlotIndex.BucketBytes);
        Buckets = BucketsFor(Slots);
    }

    public int Slots { get; }

    public int SlotBytes { get; }

    public int MaxAttempts { get; }

    /// <summary>The number of cells of each index queue. There are more cells than slots, because a popped cell may
    /// stay at the head until a participant steps over it.</summary>
    public int Cells { get; }

    public long FreeCells { get; }

    public long ReadyCells { get; }

    public int Groups { get; }

    public long FirstGroup { get; }

    public long FirstSlot { get; }

    public long Stride { get; }

    /// <summary>Where the index starts.</summary>
    public long FirstBucket { get; }

    /// <summary>The number of buckets of the index: a power of two.</summary>
    public int Buckets { get; }

    public long Slot(int index) => FirstSlot + index * Stride;

    public long GroupWord(int group) => FirstGroup + group * 8L;

    /// <summary>Where a slot's labels are.</summary>
    public long Labels(int index) => Slot(index) + Payload + SegmentLayout.Align(SlotBytes, 8);

    public long History(int index) => Labels(index) + Note + NoteBytes;

    public static long DataBytes(long slots, long slotBytes) =>
        SegmentLayout.Align(SegmentLayout.Align(CellsFor(slots) * 16L, 64) + SegmentLayout.Align(GroupsFor(slots) * 8L, 64)
            + slots * StrideFor(slotBytes), SlotIndex.BucketBytes)
        + (long)BucketsFor(slots) * SlotIndex.BucketBytes;

    // Two entries a message, an id and a key, so that a bucket of fifteen has two on average where every slot is taken.
    private static int BucketsFor(long slots) => (int)BitOperations.RoundUpToPowerOf2((ulong)slots);

    private static int GroupsFor(long slots) => (int)((slots + GroupSlots - 1) / GroupSlots);

    private static int CellsFor(long slots) => (int)BitOperations.RoundUpToPowerOf2((ulong)slots + 64);

    private static long StrideFor(long slotBytes) =>
        SegmentLayout.Align(Payload + SegmentLayout.Align(slotBytes, 8) + Note + NoteBytes + HistoryBytes, 64);
}

/// <summary>Makes and checks queue segments.</summary>
internal sealed class QueueSpec(MmapQueueOptions options) : ISegmentSpec
{
    public SegmentShape Shape => SegmentShape.Queue;

    public SegmentPlan NewPlan()
    {
        SegmentPlan plan = Plan(
            options.Slots ?? MmapQueueOptions.DefaultSlots, options.SlotBytes ?? MmapQueueOptions.DefaultSlotBytes,
            options.MaxAttempts ?? MmapQueueOptions.DefaultMaxAttempts, options.MaxParticipants);
        if (plan.DataBytes > int.MaxValue)
            throw new ArgumentOutOfRangeException(nameof(options),
                $"{plan.Capacity:N0} slots of {plan.ParameterA:N0} bytes need {plan.DataBytes:N0} bytes; the limit is {int.MaxValue:N0}");
        return plan;
    }

    public SegmentPlan PlanOf(in FixedHeader header, string path)
    {
        Check(header.Capacity, 1, MmapQueueOptions.MostSlots, "slots", path);
        Check(header.ParameterA, 1, MmapQueueOptions.MostSlotBytes, "bytes a slot", path);
        Check(header.ParameterB, 1, MmapQueueOptions.MostAttempts, "attempts at most", path);
        Check(header.MaxParticipants, 2, SegmentLayout.MaxParticipantsLimit, "participants", path);
        Match(options.Slots, header.Capacity, nameof(options.Slots), path);
        Match(options.SlotBytes, header.ParameterA, nameof(options.SlotBytes), path);
        Match(options.MaxAttempts, header.ParameterB, nameof(options.MaxAttempts), path);
        SegmentPlan plan = Plan((int)header.Capacity, header.ParameterA, header.ParameterB, header.MaxParticipants);
        if (plan.DataBytes > int.MaxValue)
            throw new CorruptSegmentException($"{path}: data of {plan.DataBytes:N0} bytes exceeds the limit of {int.MaxValue:N0}");
        return plan;
    }

    public void Initialise(SegmentMapping mapping, SegmentPlan plan)
    {
        var layout = new QueueLayout(plan);
        for (int i = 0; i < layout.Cells; i++)
        {
            mapping.Long(layout.FreeCells + i * 8L) = i < layout.Slots ? IndexCell.Make(cycle: 0, lap: 0, i) : IndexCell.Never;
            mapping.Long(layout.ReadyCells + i * 8L) = IndexCell.Never;
        }

        for (int i = 0; i < layout.Groups; i++) mapping.Long(layout.GroupWord(i)) = DelayedSlots.Initial;
        // Slots and index stay as they are allocated: zero is Released on lap 0, and an empty bucket. So no page of theirs is touched.
        mapping.Long(plan.Control(1)) = layout.Slots;
        mapping.Long(plan.Control(7)) = DelayedSlots.Initial;
        mapping.Long(plan.Control(9)) = KeptSlots.Never;
    }

    public string? PendingWork(SegmentMapping mapping, in FixedHeader header, string path)
    {
        var layout = new QueueLayout(SegmentFile.PlanOf(new QueueSpec(new MmapQueueOptions()), header, path));
        int pending = 0;
        for (int i = 0; i < layout.Slots; i++)
        {
            SlotState state = SlotWord.State(mapping.Long(layout.Slot(i)));
            if (state is not (SlotState.Released or SlotState.Writing or SlotState.Cancelled)) pending++;
        }

        return pending == 0 ? null : $"{pending:N0} messages";
    }

    private static SegmentPlan Plan(int slots, int slotBytes, int maxAttempts, int participants) => new()
    {
        Shape = SegmentShape.Queue,
        Capacity = slots,
        ParameterA = slotBytes,
        ParameterB = maxAttempts,
        MaxParticipants = participants,
        ControlWords = QueueLayout.ControlWords,
        DataBytes = QueueLayout.DataBytes(slots, slotBytes),
    };

    private static void Check(long value, long least, long most, string what, string path)
    {
        if (value < least || value > most)
            throw new CorruptSegmentException($"{path}: {value:N0} {what}, expected {least:N0} to {most:N0}");
    }

    private static void Match(int? wanted, long actual, string what, string path)
    {
        if (wanted is { } w && w != actual)
            throw new SegmentMismatchException(
                $"{path}: {what} {w:N0} was asked for, the queue has {actual:N0}; leave it out, or remove the queue first");
    }
}
