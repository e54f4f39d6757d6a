using System.Buffers;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Queues;

// Messages that are not ready before a time. They lie in their slots (state Delayed) and in no index queue. A word for each group of slots
// says when to look into the group next, and one word of the segment when to look at the groups; whoever is awake then moves those that
// are due to ready. The groups keep a look at a large queue short.
//
//  63                        24 23        0
//  +---------------------------+-----------+
//  | look at (ms since start)  | version   |   all ones above: nothing is delayed
//  +---------------------------+-----------+
//
//  send:     slot ← Delayed; then group's look at ← min(look at, its time), version + 1; then the same with the segment's
//  promote:  read the segment's word; look at every slot of each group that is due; move those due, the earliest first; then CAS the word
//            of each of these groups, and then the segment's, to the earliest that is left, version + 1
//
// Every sender raises the version, even where its time is no earlier, so a promoter that did not see the slot fails to put the word back.
// A promoter that stops or dies leaves the word as it was: due. A sender that dies before it lowers the
// word is swept, and the sweep lowers it.

internal sealed class DelayedSlots(SegmentMapping map, QueueLayout layout, long wordOffset)
{
    /// <summary>No delayed message: the greatest time.</summary>
    public const long None = (1L << 40) - 1;

    private const long VersionMask = (1L << 24) - 1;

    /// <summary>Milliseconds since the machine started, by the clock that all processes share.</summary>
    public static long Now => MachineClock.Milliseconds;

    /// <summary>When to look next.</summary>
    public long LookAt => TimeOf(Volatile.Read(ref Word));

    private ref long Word => ref map.Long(wordOffset);

    public static long Initial => Make(None, 0);

    /// <summary>The time at which a message sent now with this delay is due; never earlier than asked.</summary>
    public static long DueAfter(TimeSpan delay) => Math.Min(Now + 1 + (long)Math.Ceiling(delay.TotalMilliseconds), None - 1);

    /// <summary>Makes sure that the next check of a slot is at <paramref name="time"/> or earlier. Store the slot's
    /// word before the call.</summary>
    /// <returns><see langword="true"/> if the next check of any slot was due later than <paramref name="time"/>;
    /// otherwise, <see langword="false"/>.</returns>
    public bool Lower(int slot, long time)
    {
        Lower(ref map.Long(layout.GroupWord(slot / QueueLayout.GroupSlots)), time);
        if (FaultPoints.On) FaultPoints.Reach("queue.delay.group");
        return Lower(ref Word, time);
    }

    /// <summary>Hands each slot that is due to <paramref name="promote"/>, in the order of
    /// their times, and notes when to look next.</summary>
    /// <returns>How many were moved.</returns>
    public int Promote(long now, Func<int, long, bool> promote)
    {
        // Acquire: pairs with the CAS in Lower; a slot whose sender lowered this word before is seen below.
        long seen = Volatile.Read(ref Word);
        if (TimeOf(seen) > now) return 0;
        long next = None;
        int count = 0, moved = 0, groupsDue = 0;
        (long Due, int Slot, long Word)[] found = ArrayPool<(long, int, long)>.Shared.Rent(16);
        (long Next, int Group, long Word)[] groups = ArrayPool<(long, int, long)>.Shared.Rent(16);
        for (int group = 0; group < layout.Groups; group++)
        {
            // Acquire: pairs with the CAS in Lower, as above.
            long groupSeen = Volatile.Read(ref map.Long(layout.GroupWord(group)));
            if (TimeOf(groupSeen) > now)
            {
                next = Math.Min(next, TimeOf(groupSeen));
                continue;
            }

            long groupNext = FindDue(group, now, ref found, ref count);
            if (groupsDue == groups.Length) groups = Larger(groups);
            groups[groupsDue++] = (groupNext, group, groupSeen);
        }

        // Of the same millisecond the first slot first, as before: in a queue that is worked off in order that is the order of sending.
        found.AsSpan(0, count).Sort(
            static (one, other) => one.Due != other.Due ? one.Due.CompareTo(other.Due) : one.Slot.CompareTo(other.Slot));
        // Exact: a slot that was cancelled, or promoted by another, since it was seen is not moved.
        foreach ((_, int slot, long word) in found.AsSpan(0, count)) moved += promote(slot, word) ? 1 : 0;
        ArrayPool<(long, int, long)>.Shared.Return(found);

        if (FaultPoints.On) FaultPoints.Reach("queue.promote.scanned");
        foreach ((long groupNext, int group, long groupSeen) in groups.AsSpan(0, groupsDue))
        {
            // Fails where somebody delayed a message in the group meanwhile, or promoted it: then what stands there counts.
            long after = Make(groupNext, groupSeen + 1);
            long stood = Interlocked.CompareExchange(ref map.Long(layout.GroupWord(group)), after, groupSeen);
            next = Math.Min(next, stood == groupSeen ? groupNext : TimeOf(stood));
        }

        ArrayPool<(long, int, long)>.Shared.Return(groups);
        if (FaultPoints.On) FaultPoints.Reach("queue.promote.groups");
        // Fails where somebody delayed a message meanwhile: then the word stays due, and the next look is soon.
        Interlocked.CompareExchange(ref Word, Make(next, seen + 1), seen);
        return moved;
    }

    private static bool Lower(ref long word, long time)
    {
        while (true)
        {
            long seen = Volatile.Read(ref word);
            // Full fence: pairs with the reads in Promote. A promoter either read the word after this, and
            // then sees the slot, or its CAS fails.
            if (Interlocked.CompareExchange(ref word, Make(Math.Min(time, TimeOf(seen)), seen + 1), seen) == seen)
                return time < TimeOf(seen);
        }
    }

    /// <summary>Adds the slots of a group that are due.</summary>
    /// <returns>The earliest time of those that are not.</returns>
    private long FindDue(int group, long now, ref (long Due, int Slot, long Word)[] found, ref int count)
    {
        long next = None;
        int first = group * QueueLayout.GroupSlots, end = Math.Min(first + QueueLayout.GroupSlots, layout.Slots);
        for (int slot = first; slot < end; slot++)
        {
            // Acquire: pairs with the release that made the slot Delayed; its time is the one of this word.
            long word = Volatile.Read(ref map.Long(layout.Slot(slot)));
            if (SlotWord.State(word) != SlotState.Delayed) continue;
            long due = Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.NotBefore));
            if (due > now)
            {
                next = Math.Min(next, due);
                continue;
            }

            if (count == found.Length) found = Larger(found);
            found[count++] = (due, slot, word);
        }

        return next;
    }

    private static (long Due, int Slot, long Word)[] Larger((long, int, long)[] full)
    {
        (long, int, long)[] larger = ArrayPool<(long, int, long)>.Shared.Rent(full.Length * 2);
        full.CopyTo(larger, 0);
        ArrayPool<(long, int, long)>.Shared.Return(full);
        return larger;
    }

    private static long TimeOf(long word) => (long)((ulong)word >> 24);

    private static long Make(long time, long version) => time << 24 | (version & VersionMask);
}
