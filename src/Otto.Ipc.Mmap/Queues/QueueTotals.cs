using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Queues;

// How many slots are in the states that no index queue counts, so that nobody has to look at all slots. Each is changed after the slot's
// word: a process that dies in between leaves a total wrong by one, and one that is stopped there makes it wrong when it goes on. So the
// slots are counted again after a death, and now and then while they change.
//
//  control word 8:  00 dead   04 delayed   08 kept   0C cancelled   10 set aside   14 overflowed index
//                   18 dead letters dropped   20 results dropped   28 changes

internal sealed class QueueTotals(SegmentMapping map, QueueLayout layout, IndexQueue free, long at)
{
    private const int DeadAt = 0x00, DelayedAt = 0x04, KeptAt = 0x08, CancelledAt = 0x0C, AsideAt = 0x10, OverflowedAt = 0x14,
        DroppedDeadAt = 0x18, DroppedKeptAt = 0x20, ChangesAt = 0x28;

    private const int MostCounts = 3;
    private const long CountsEvery = 10_000;

    private volatile bool _mustCount;
    private long _countedChanges;
    private long _countAt;

    /// <summary>How many slots a caller has to read: no slot from there on was ever taken.</summary>
    public int UsedSlots => free.EverTaken(layout.Slots);

    public int Dead => Read(DeadAt);

    public int Delayed => Read(DelayedAt);

    /// <summary>Results, and cancellations of messages whose result is waited for.</summary>
    public int Kept => Read(KeptAt);

    public int Cancelled => Read(CancelledAt);

    public int Aside => Read(AsideAt);

    public long DroppedDead => Volatile.Read(ref map.Long(at + DroppedDeadAt));

    public long DroppedKept => Volatile.Read(ref map.Long(at + DroppedKeptAt));

    /// <summary>Grows with each change: the order of two slots that are kept in one millisecond.</summary>
    public long Changes => Volatile.Read(ref map.Long(at + ChangesAt));

    /// <summary>Whether a bucket of the index was full once, so that what is not found there may exist.</summary>
    public bool IndexOverflowed => Volatile.Read(ref map.Int(at + OverflowedAt)) != 0;

    public void SetIndexOverflowed() => Volatile.Write(ref map.Int(at + OverflowedAt), 1);

    /// <summary>Notes that a slot went from one state to another.</summary>
    public void Moved(SlotState from, SlotState to)
    {
        int left = FieldOf(from), entered = FieldOf(to);
        if (left == entered) return;
        Interlocked.Increment(ref map.Long(at + ChangesAt));
        if (left >= 0) Interlocked.Decrement(ref map.Int(at + left));
        if (entered >= 0) Interlocked.Increment(ref map.Int(at + entered));
    }

    public void CountDropped(SlotState state, int count) =>
        Interlocked.Add(ref map.Long(at + (state == SlotState.Dead ? DroppedDeadAt : DroppedKeptAt)), count);

    /// <summary>Asks for <see cref="CountAgain"/>: a participant died.</summary>
    public void Distrust() => _mustCount = true;

    /// <summary>Counts the slots, where that was asked for or some have moved since the last time, and corrects what is
    /// wrong. Gives up until the next time where slots keep moving. For one thread at a time.</summary>
    public void CountAgain()
    {
        long now = MachineClock.CoarseMilliseconds;
        if (now < _countAt || (!_mustCount && Changes == _countedChanges)) return;
        // Where slots keep moving it takes another try, and not one after the other.
        _countAt = now + (_mustCount ? CountsEvery / 10 : CountsEvery);
        Span<int> fields = [DeadAt, DelayedAt, KeptAt, CancelledAt, AsideAt];
        Span<int> before = stackalloc int[fields.Length], counted = stackalloc int[fields.Length];
        for (int tries = 0; tries < MostCounts; tries++)
        {
            long changes = Volatile.Read(ref map.Long(at + ChangesAt));
            for (int i = 0; i < fields.Length; i++) before[i] = Volatile.Read(ref map.Int(at + fields[i]));
            counted.Clear();
            for (int slot = 0, end = UsedSlots; slot < end; slot++)
            {
                int field = FieldOf(SlotWord.State(Volatile.Read(ref map.Long(layout.Slot(slot)))));
                if (field >= 0) counted[fields.IndexOf(field)]++;
            }

            Interlocked.MemoryBarrier(); // Keeps the counting before the second look.
            if (Volatile.Read(ref map.Long(at + ChangesAt)) != changes) continue;
            _mustCount = false;
            _countedChanges = changes;
            // Exact: where a slot moves after all, its total is left as it was, and counted again.
            for (int i = 0; i < fields.Length; i++)
                if (counted[i] != before[i])
                    _mustCount |= Interlocked.CompareExchange(ref map.Int(at + fields[i]), counted[i], before[i]) != before[i];
            return;
        }
    }

    private int Read(int field) => Math.Clamp(Volatile.Read(ref map.Int(at + field)), 0, layout.Slots);

    private static int FieldOf(SlotState state) => state switch
    {
        SlotState.Dead => DeadAt,
        SlotState.Delayed => DelayedAt,
        SlotState.Kept or SlotState.Withdrawn => KeptAt,
        SlotState.Cancelled => CancelledAt,
        SlotState.Aside => AsideAt,
        _ => -1,
    };
}
