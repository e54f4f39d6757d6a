using System.Text;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Queues;

// Looking at a queue without moving anything: every number may be old by the time it is returned.

internal sealed class QueueSnapshot(
    SegmentMapping map, QueueLayout layout, IndexQueue free, IndexQueue ready, QueueTotals totals, Func<BlockDescriptor, byte[]> readLoan)
    : IBlockReferences
{
    /// <summary>A queue of up to so many slots is searched for its oldest lease each time it is counted; a larger one
    /// once per second.</summary>
    private const int SearchedSlots = 4096;

    private long _leaseSearchedAt = long.MinValue / 2;
    private long _oldestLease;

    /// <summary>Counts without reading the slots: what index queues hold, and the totals of all else.</summary>
    public WorkQueueCounts Count()
    {
        int dead = totals.Dead, delayed = totals.Delayed, keptCount = totals.Kept, cancelled = totals.Cancelled, aside = totals.Aside;
        int released = (int)Math.Clamp(free.Count(cell => IsLive(cell, SlotState.Released, SlotState.Released)), 0, layout.Slots);
        int queued = (int)Math.Clamp(ready.Count(cell => IsLive(cell, SlotState.Filled, SlotState.Cancelled)), 0, layout.Slots);
        int leased = Math.Clamp(layout.Slots - released - queued - dead - delayed - keptCount - aside, 0, layout.Slots);
        TimeSpan oldest = default;
        if (ready.TryPeek(out _, out long cell) && IndexCell.Slot(cell) is var slot && slot < layout.Slots
            && SlotTransitions.IsLive(cell, Volatile.Read(ref Word(slot)), SlotState.Filled))
        {
            oldest = TimeSpan.FromMilliseconds(ReadyAge(Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.SentAt)),
                Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.NotBefore))));
        }

        return new WorkQueueCounts(Math.Max(0, queued - cancelled), leased, dead, released, oldest)
        {
            Delayed = delayed,
            Cancelled = cancelled,
            Results = keptCount,
            PassedOver = aside,
            DroppedDeadLetters = totals.DroppedDead,
            DroppedResults = totals.DroppedKept,
            OldestLeaseAge = TimeSpan.FromMilliseconds(leased == 0 ? 0 : OldestLease()),
        };
    }

    private bool IsLive(long cell, SlotState state, SlotState other)
    {
        if (IndexCell.Slot(cell) >= layout.Slots) return true; // Damaged: the next take reports it.
        long word = Volatile.Read(ref Word(IndexCell.Slot(cell)));
        return SlotTransitions.IsLive(cell, word, state) || SlotTransitions.IsLive(cell, word, other);
    }

    private long OldestLease()
    {
        long now = MachineClock.CoarseMilliseconds;
        if (layout.Slots > SearchedSlots && now - Volatile.Read(ref _leaseSearchedAt) < 1000) return Volatile.Read(ref _oldestLease);
        long oldest = 0;
        for (int i = 0, end = totals.UsedSlots; i < end; i++)
        {
            long word = Volatile.Read(ref Word(i));
            if (SlotWord.State(word) is SlotState.Leased or SlotState.Ending)
                oldest = Math.Max(oldest,
                    LeaseTime.Age(MachineClock.CoarseMilliseconds, Volatile.Read(ref map.Long(layout.Slot(i) + QueueLayout.LeasedAt)),
                        word));
        }

        Volatile.Write(ref _oldestLease, oldest);
        Volatile.Write(ref _leaseSearchedAt, now);
        return oldest;
    }

    /// <summary>How long a message has been ready, in milliseconds.</summary>
    public static long ReadyAge(long sentAt, long notBefore)
    {
        long coarse = MachineClock.CoarseMilliseconds, now = MachineClock.Milliseconds;
        // The times are shared, so they may be anything: an age lies between nothing and the machine's own. Each is of its own clock.
        return Math.Min(coarse - Math.Clamp(sentAt, 0, coarse), now - Math.Clamp(notBefore, 0, now));
    }

    public List<DeadLetter> DeadLetters(int max)
    {
        var letters = new List<DeadLetter>();
        for (int i = 0, end = totals.UsedSlots; i < end && letters.Count < max; i++)
        {
            long word = Volatile.Read(ref Word(i));
            if (SlotWord.State(word) != SlotState.Dead) continue;
            int length = Math.Clamp(map.Int(layout.Slot(i) + QueueLayout.Length), 0, layout.SlotBytes);
            var letter = new DeadLetter(
                DeadLetterId.FromToken(new SlotToken(word, i)),
                Volatile.Read(ref map.Byte(layout.Slot(i) + QueueLayout.Kind)) == QueueLayout.KindLoan
                    ? readLoan(BlockDescriptor.Read(map, layout.Slot(i) + QueueLayout.Payload))
                    : map.Bytes(layout.Slot(i) + QueueLayout.Payload, length).ToArray(),
                SlotWord.Attempts(word),
                Note(i));
            // Copied while nobody moved it: the fence keeps the copy before the second look, and a moved word never comes back.
            Interlocked.MemoryBarrier();
            if (Volatile.Read(ref Word(i)) == word) letters.Add(letter);
        }

        return letters;
    }

    /// <summary>Reads why a letter died, if its slot's word is still the one that was seen.</summary>
    public bool TryReadNote(int slot, long word, out string note)
    {
        note = Note(slot);
        Interlocked.MemoryBarrier(); // As in DeadLetters.
        return Volatile.Read(ref Word(slot)) == word;
    }

    private string Note(int slot)
    {
        long labels = layout.Labels(slot);
        int length = Math.Clamp(map.Int(labels + QueueLayout.NoteLength), 0, QueueLayout.NoteBytes);
        return Encoding.UTF8.GetString(map.Bytes(labels + QueueLayout.Note, length));
    }

    /// <summary>Adds each block that a message in a slot names.</summary>
    /// <returns><see langword="true"/> if every slot was read; otherwise, <see langword="false"/>: a slot kept
    /// changing while it was read, and nothing is known about blocks that were not added.</returns>
    public bool AddReferences(HashSet<(int Block, long Generation)> references)
    {
        bool all = true;
        for (int i = 0, end = totals.UsedSlots; i < end; i++)
        {
            // Again where the slot moved on under the look; a message never moves to another slot.
            bool seen = false;
            for (int look = 0; look < 64 && !seen; look++)
            {
                long word = Volatile.Read(ref Word(i));
                if (SlotWord.State(word) is SlotState.Released or SlotState.Writing or SlotState.Withdrawn)
                {
                    seen = true;
                    break;
                }

                // Where the message is done, the block of its result; otherwise, of its payload.
                bool isKept = SlotWord.State(word) is SlotState.Kept;
                long labels = layout.Labels(i);
                bool isLoan = Volatile.Read(ref map.Byte(isKept ? labels + QueueLayout.NoteKind : layout.Slot(i) + QueueLayout.Kind))
                    == QueueLayout.KindLoan;
                BlockDescriptor named =
                    BlockDescriptor.Read(map, isKept ? labels + QueueLayout.Note : layout.Slot(i) + QueueLayout.Payload);
                Interlocked.MemoryBarrier();
                if (Volatile.Read(ref Word(i)) != word) continue;
                if (isLoan) references.Add((named.Block, named.Generation));
                seen = true;
            }

            all &= seen;
        }

        return all;
    }

    private ref long Word(int slot) => ref map.Long(layout.Slot(slot));
}
