using System.Text;
using System.Text.Unicode;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// What a dead participant left half-done. Each step is one exact CAS, so any number of sweepers may run at once, and one that stops or
// dies halfway leaves the rest to the next. The caller has proven the death, and keeps the number from being used again meanwhile.
//
//  the dead one's word          becomes            because
//  Writing                      Released           it was not committed; nobody saw it
//  Leased                       Filled, counted    the work may have run in part: it is delivered again (or given up at the limit)
//  Filled,   cell missing       Filled             committed, but not yet visible; or given back, but not yet visible
//  Released, cell missing       Released           completed, but not yet reusable
//  Filled, Released, cell there unchanged          whole; the owner's name is only a memory

internal sealed class QueueSweep(SegmentMapping map, QueueLayout layout, IndexQueue free, IndexQueue ready)
{
    /// <summary>Repairs what <paramref name="dead"/> left, in the name of <paramref name="me"/>, who owes the cells from then on.</summary>
    public void Run(int dead, int me)
    {
        // After the death is proven nobody appends for the dead any more: an entry not seen here now was never made, or was taken, and
        // then its slot has moved on and the exact CAS below fails.
        int[] freeLaps = free.Snapshot(layout.Slots);
        int[] readyLaps = ready.Snapshot(layout.Slots);
        bool forgetsCells = FaultPoints.Plants("queue.sweep.forgets-cells"), forgetsLeases = FaultPoints.Plants("queue.sweep.forgets-leases");
        for (int slot = 0; slot < layout.Slots; slot++)
        {
            long word = Volatile.Read(ref map.Long(layout.Slot(slot)));
            if (SlotWord.Owner(word) != dead) continue;
            int lap = (int)(SlotWord.Lap(word) & IndexCell.LapMask);
            switch (SlotWord.State(word))
            {
                case SlotState.Writing:
                    TryMove(slot, word, SlotState.Released, me, 0, free);
                    break;
                case SlotState.Leased when !forgetsLeases:
                    Redeliver(slot, word, me);
                    break;
                case SlotState.Filled when readyLaps[slot] != lap && !forgetsCells:
                    TryMove(slot, word, SlotState.Filled, me, SlotWord.Attempts(word), ready);
                    break;
                case SlotState.Released when freeLaps[slot] != lap && !forgetsCells:
                    TryMove(slot, word, SlotState.Released, me, 0, free);
                    break;
            }
        }
    }

    /// <summary>Writes why a slot is given up; the caller holds the slot.</summary>
    public void WriteNote(int slot, string reason)
    {
        Span<byte> note = map.Bytes(layout.Note(slot), QueueLayout.NoteBytes);
        Utf8.FromUtf16(reason, note, out _, out int written);
        map.Int(layout.Slot(slot) + QueueLayout.NoteLength) = written;
    }

    private void Redeliver(int slot, long word, int me)
    {
        int attempts = SlotWord.Attempts(word) + 1;
        if (attempts < layout.MaxAttempts)
        {
            TryMove(slot, word, SlotState.Filled, me, attempts, ready);
            return;
        }

        // Taken over before the note is written, since only the holder may write it; given up after.
        long mine = SlotWord.Move(word, SlotState.Leased, me);
        if (mine != word && Interlocked.CompareExchange(ref map.Long(layout.Slot(slot)), mine, word) != word) return;
        if (FaultPoints.On) FaultPoints.Reach("queue.sweep.taken-over");
        WriteNote(slot, $"its worker died in attempt {attempts}, the queue's limit");
        Interlocked.CompareExchange(
            ref map.Long(layout.Slot(slot)), SlotWord.Make(SlotState.Dead, SlotWord.Nobody, attempts, SlotWord.Lap(word)), mine);
    }

    private void TryMove(int slot, long word, SlotState state, int me, int attempts, IndexQueue queue)
    {
        long next = SlotWord.NextLap(word, state, me, attempts);
        // Exact: one sweeper wins, and owes the cell in its own name; should it die too, its own sweep appends it.
        if (Interlocked.CompareExchange(ref map.Long(layout.Slot(slot)), next, word) != word) return;
        if (FaultPoints.On) FaultPoints.Reach("queue.sweep.word");
        queue.Push(slot, SlotWord.Lap(next));
    }
}
