using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Queues;

// When a slot was leased, and how its holder works on it (WorkHandling). The lap says which delivery they are of: a holder stores them
// after it has taken the slot, so a look in between finds those of an earlier delivery.
//
//  63                 26 25      24 23        0
//  +--------------------+----------+-----------+
//  | ms since boot      | handling | lap, low  |
//  +--------------------+----------+-----------+

internal static class LeaseTime
{
    private const long LapMask = (1L << 24) - 1, TimeMask = (1L << 38) - 1;
    private const int HandlingAt = 24, TimeAt = 26;

    /// <summary>Notes that the caller, who holds the slot, has leased it now.</summary>
    public static void Store(SegmentMapping map, long slot, long word) =>
        Volatile.Write(ref map.Long(slot + QueueLayout.LeasedAt), Make(MachineClock.CoarseMilliseconds, word));

    /// <summary>What <see cref="Store"/> stores.</summary>
    public static long Make(long now, long word) => now << TimeAt | (SlotWord.Lap(word) & LapMask);

    /// <summary>Notes how the caller, who holds the slot, works on it.</summary>
    public static void SetHandling(SegmentMapping map, long slot, long word, WorkHandling handling)
    {
        ref long field = ref map.Long(slot + QueueLayout.LeasedAt);
        long leased = Volatile.Read(ref field);
        if ((leased & LapMask) != (SlotWord.Lap(word) & LapMask)) leased = Make(MachineClock.CoarseMilliseconds, word);
        Volatile.Write(ref field, (leased & ~(3L << HandlingAt)) | (long)handling << HandlingAt);
    }

    /// <summary>How the holder of a leased slot works on it;
    /// <see cref="WorkHandling.Alone"/> where it has not said.</summary>
    public static WorkHandling HandlingOf(long leased, long word) =>
        (leased & LapMask) != (SlotWord.Lap(word) & LapMask) ? WorkHandling.Alone : (WorkHandling)((leased >> HandlingAt) & 3);

    /// <summary>How long ago a slot was leased, in milliseconds.</summary>
    /// <param name="now">Milliseconds since boot. Read it after the slot's word; a later time counts as now.</param>
    /// <param name="leased">The slot's field.</param>
    /// <param name="word">The slot's word.</param>
    /// <returns>The age; 0 if the holder has not stored the time yet.</returns>
    public static long Age(long now, long leased, long word)
    {
        if ((leased & LapMask) != (SlotWord.Lap(word) & LapMask)) return 0;
        // The bytes are shared, so they may be anything: an age lies between nothing and the machine's own.
        return now - Math.Clamp((leased >>> TimeAt) & TimeMask, 0, now);
    }
}
