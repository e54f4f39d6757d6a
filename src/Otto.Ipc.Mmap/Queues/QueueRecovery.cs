using System.Text;
using System.Text.Unicode;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// What a dead participant left half-done. Each step is one exact CAS, so any number of sweepers may run at once, and one that stops or
// dies halfway leaves the rest to the next. The caller has proven the death, and keeps the number from being used again meanwhile.
//
//  the dead one's word          becomes            because
//  Writing                      Released           it was not committed; nobody saw it
//  Offered, in the index        Filled or Delayed  it has its key; nobody else does
//  Offered, not in the index    Released           it had no key yet; nobody saw it
//  Leased, Ending               Filled, counted    the work may have run in part: it is delivered again (or given up at the limit);
//                                                  counted as SlotHistory says
//  Filled,   cell missing       Filled             committed, but not yet visible; or given back, but not yet visible
//  Cancelled, cell missing      Released           cancelled before it was visible, so nobody would ever come to it
//  Released, cell missing       Released           completed, but not yet reusable
//  Filled, Cancelled, Released, with their cell: unchanged, whole; the owner's name is only a memory
//  Delayed                      unchanged          somebody looks now, since the dead one may not have said when to
//  Dead, Kept, Withdrawn, Aside name nobody: unchanged.

internal sealed class QueueRecovery(
    SegmentMapping map, QueueLayout layout, IndexQueue free, IndexQueue ready, DelayedSlots delayed, SlotIndex index, SlotFiling filing,
    QueueTotals totals, KeptSlots kept)
{
    private readonly SlotHistory _history = new(map, layout);

    /// <summary>Repairs what <paramref name="dead"/> left, in the name of
    /// <paramref name="me"/>, who owes the cells from then on.</summary>
    public void Run(int dead, int me)
    {
        // After the death is proven nobody appends for the dead any more: an entry not seen here now was never made, or was taken, and
        // then its slot has moved on and the exact CAS below fails.
        int[] freeLaps = free.Snapshot(layout.Slots);
        int[] readyLaps = ready.Snapshot(layout.Slots);
        bool forgetsCells = FaultPoints.Plants("queue.sweep.forgets-cells"),
            forgetsLeases = FaultPoints.Plants("queue.sweep.forgets-leases");
        for (int slot = 0, end = totals.UsedSlots; slot < end; slot++)
        {
            long word = Volatile.Read(ref map.Long(layout.Slot(slot)));
            // Once more where somebody cancelled the message under our hands: that leaves the dead one's name.
            for (int i = 0; i < 2 && SlotWord.Owner(word) == dead && !Repair(slot, word); i++)
                word = Volatile.Read(ref map.Long(layout.Slot(slot)));
        }

        // It may have died between a word and its total, or before it said when to drop what it kept.
        totals.Distrust();
        kept.Lower(0);

        bool Repair(int slot, long word)
        {
            int lap = (int)(SlotWord.Lap(word) & IndexCell.LapMask);
            switch (SlotWord.State(word))
            {
                case SlotState.Writing:
                    return TryMove(slot, word, SlotState.Released, me, 0, free);
                case SlotState.Offered:
                    return RepairOffered(slot, word, me);
                case SlotState.Leased or SlotState.Ending:
                    return forgetsLeases || Redeliver(slot, word, me);
                case SlotState.Filled when readyLaps[slot] != lap && !forgetsCells:
                    return TryMove(slot, word, SlotState.Filled, me, SlotWord.Attempts(word), ready);
                case SlotState.Cancelled when readyLaps[slot] != lap && !forgetsCells:
                    return TryMove(slot, word, SlotState.Released, me, 0, free);
                case SlotState.Released when freeLaps[slot] != lap && !forgetsCells:
                    return TryMove(slot, word, SlotState.Released, me, 0, free);
                case SlotState.Delayed:
                    // It may have died before it said when to look.
                    if (!forgetsCells) delayed.Lower(slot, 0);
                    return true;
                default:
                    return true;
            }
        }
    }

    /// <summary>Writes why a slot is given up; the caller holds the slot.</summary>
    public void WriteNote(int slot, string reason, long until)
    {
        long labels = layout.Labels(slot);
        Span<byte> note = map.Bytes(labels + QueueLayout.Note, QueueLayout.NoteBytes);
        Utf8.FromUtf16(reason, note, out _, out int written);
        map.Int(labels + QueueLayout.NoteLength) = written;
        map.Int(labels + QueueLayout.NoteKind) = QueueLayout.KindInline;
        map.Long(labels + QueueLayout.Until) = until;
        map.Long(labels + QueueLayout.Subject) = totals.Changes;
    }

    private bool RepairOffered(int slot, long word, int me)
    {
        ulong hash = SlotIndex.HashOf(filing.KeyOf(slot));
        index.Settle(hash);
        if (!index.Names(hash, slot) || FaultPoints.Plants("queue.sweep.drops-offered"))
            return TryMove(slot, word, SlotState.Released, me, 0, free);
        if ((SlotState)(Volatile.Read(ref map.Int(layout.Labels(slot) + QueueLayout.Intent)) & 0xFF) != SlotState.Delayed)
            return TryMove(slot, word, SlotState.Filled, me, 0, ready);
        if (Interlocked.CompareExchange(ref map.Long(layout.Slot(slot)), SlotWord.Move(word, SlotState.Delayed, me), word) != word)
            return false;
        totals.Moved(SlotState.Offered, SlotState.Delayed);
        delayed.Lower(slot, Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.NotBefore)));
        return true;
    }

    private bool Redeliver(int slot, long word, int me)
    {
        int attempts = _history.CountDeath(slot, word);
        if (attempts < layout.MaxAttempts || attempts == SlotWord.Attempts(word))
            return TryMove(slot, word, SlotState.Filled, me, attempts, ready);

        // Taken over before the note is written, since only the holder may write it; given up after.
        long mine = SlotWord.Move(word, SlotState.Ending, me);
        if (mine != word && Interlocked.CompareExchange(ref map.Long(layout.Slot(slot)), mine, word) != word) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.sweep.taken-over");
        long until = kept.DeadUntil;
        Filing filed = filing.Of(slot);
        WriteNote(slot, $"its worker died in attempt {attempts}, the queue's limit", until);
        kept.Lower(until);
        bool gaveUp = Interlocked.CompareExchange(
            ref map.Long(layout.Slot(slot)), SlotWord.Make(SlotState.Dead, SlotWord.NoOwner, attempts, SlotWord.Lap(word)), mine) == mine;
        if (!gaveUp) return false;
        totals.Moved(SlotState.Ending, SlotState.Dead);
        filing.RemoveKey(slot, filed);
        return true;
    }

    private bool TryMove(int slot, long word, SlotState state, int me, int attempts, IndexQueue queue)
    {
        long next = SlotWord.NextLap(word, state, me, attempts);
        // Exact: one sweeper wins, and owes the cell in its own name; should it die too, its own sweep appends it.
        if (Interlocked.CompareExchange(ref map.Long(layout.Slot(slot)), next, word) != word) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.sweep.word");
        totals.Moved(SlotWord.State(word), state);
        queue.Push(slot, SlotWord.Lap(next));
        return true;
    }
}
