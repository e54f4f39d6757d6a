using System.Text;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Queues;

// Looking at a queue without moving anything: every number may be old by the time it is returned.

internal sealed class QueueSnapshot(SegmentMapping map, QueueLayout layout, IndexQueue ready, Func<BlockDescriptor, byte[]> readLoan)
    : IBlockReferences
{
    public WorkQueueCounts Count()
    {
        Span<int> states = stackalloc int[16];
        long oldestLease = 0;
        for (int i = 0; i < layout.Slots; i++)
        {
            long word = Volatile.Read(ref Word(i));
            SlotState state = SlotWord.State(word);
            states[(int)state]++;
            if (state is SlotState.Leased or SlotState.Ending)
            {
                long leased = Volatile.Read(ref map.Long(layout.Slot(i) + QueueLayout.LeasedAt));
                oldestLease = Math.Max(oldestLease, LeaseTime.Age(MachineClock.CoarseMilliseconds, leased, word));
            }
        }

        TimeSpan oldest = default;
        if (ready.TryPeek(out _, out long cell) && IndexCell.Slot(cell) is var slot && slot < layout.Slots
            && SlotTransitions.IsLive(cell, Volatile.Read(ref Word(slot)), SlotState.Filled))
        {
            oldest = TimeSpan.FromMilliseconds(ReadyAge(Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.SentAt)),
                Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.NotBefore))));
        }

        return new WorkQueueCounts(
            states[(int)SlotState.Filled], states[(int)SlotState.Leased] + states[(int)SlotState.Ending], states[(int)SlotState.Dead],
            states[(int)SlotState.Released], oldest)
        {
            Delayed = states[(int)SlotState.Delayed],
            Cancelled = states[(int)SlotState.Cancelled],
            OldestLeaseAge = TimeSpan.FromMilliseconds(oldestLease),
        };
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
        for (int i = 0; i < layout.Slots && letters.Count < max; i++)
        {
            long word = Volatile.Read(ref Word(i));
            if (SlotWord.State(word) != SlotState.Dead) continue;
            int length = Math.Clamp(map.Int(layout.Slot(i) + QueueLayout.Length), 0, layout.SlotBytes);
            var letter = new DeadLetter(
                DeadLetterId.FromToken(new SlotToken(word, i)),
                Volatile.Read(ref map.Int(layout.Slot(i) + QueueLayout.Kind)) == QueueLayout.KindLoan
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
        int length = Math.Clamp(map.Int(layout.Slot(slot) + QueueLayout.NoteLength), 0, QueueLayout.NoteBytes);
        return Encoding.UTF8.GetString(map.Bytes(layout.Note(slot), length));
    }

    /// <summary>Adds each block that a message in a slot names.</summary>
    /// <returns><see langword="true"/> if every slot was read; otherwise, <see langword="false"/>: a slot kept
    /// changing while it was read, and nothing is known about blocks that were not added.</returns>
    public bool AddReferences(HashSet<(int Block, long Generation)> references)
    {
        bool all = true;
        for (int i = 0; i < layout.Slots; i++)
        {
            // Again where the slot moved on under the look; a message never moves to another slot.
            bool seen = false;
            for (int look = 0; look < 64 && !seen; look++)
            {
                long word = Volatile.Read(ref Word(i));
                if (SlotWord.State(word) is SlotState.Released or SlotState.Writing)
                {
                    seen = true;
                    break;
                }

                bool isLoan = Volatile.Read(ref map.Int(layout.Slot(i) + QueueLayout.Kind)) == QueueLayout.KindLoan;
                BlockDescriptor named = BlockDescriptor.Read(map, layout.Slot(i) + QueueLayout.Payload);
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
