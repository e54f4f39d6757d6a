using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Queues;

// When a slot was leased, in the eight bytes that hold the note's length once the slot is Dead. The lap says which delivery the time is of:
// a holder stores it after it has taken the slot, so a look in between finds the time of an earlier delivery.
//
//  63                        24 23        0
//  +---------------------------+-----------+
//  | ms since boot             | lap, low  |
//  +---------------------------+-----------+

internal static class LeaseTime
{
    private const long LapMask = (1L << 24) - 1, TimeMask = (1L << 40) - 1;

    /// <summary>Notes that the caller, who holds the slot, has leased it now.</summary>
    public static void Store(SegmentMapping map, long slot, long word) =>
        Volatile.Write(ref map.Long(slot + QueueLayout.LeasedAt), Make(MachineClock.CoarseMilliseconds, word));

    /// <summary>What <see cref="Store"/> stores.</summary>
    public static long Make(long now, long word) => now << 24 | (SlotWord.Lap(word) & LapMask);

    /// <summary>How long ago a slot was leased, in milliseconds.</summary>
    /// <param name="now">Milliseconds since boot. Read it after the slot's word; a later time counts as now.</param>
    /// <param name="leased">The slot's field.</param>
    /// <param name="word">The slot's word.</param>
    /// <returns>The age; 0 if the holder has not stored the time yet.</returns>
    public static long Age(long now, long leased, long word)
    {
        if ((leased & LapMask) != (SlotWord.Lap(word) & LapMask)) return 0;
        // The bytes are shared, so they may be anything: an age lies between nothing and the machine's own.
        return now - Math.Clamp((leased >>> 24) & TimeMask, 0, now);
    }
}
