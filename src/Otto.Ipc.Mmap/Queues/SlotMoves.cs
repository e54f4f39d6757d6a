using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// The steps of the protocol, each one CAS (or, where nobody else may move the word, one store) of a slot's word, then a cell for whoever
// looks for the slot next. docs/layouts.md has the table of steps, and what a crash after each of them leaves.

internal sealed class SlotMoves(
    SegmentMapping map, QueueLayout layout, IndexQueue free, IndexQueue ready, Doorbell workerBell, Doorbell senderBell, QueueSweep sweep, string path, int me)
{
    public ref long Word(int slot) => ref map.Long(layout.Slot(slot));

    /// <summary>Claims a free slot: Released → Writing.</summary>
    public bool TryClaim(out int slot, out long word) => TryTake(free, SlotState.Released, SlotState.Writing, out slot, out word);

    /// <summary>Leases the next message: Filled → Leased.</summary>
    public bool TryLease(out int slot, out long word) => TryTake(ready, SlotState.Filled, SlotState.Leased, out slot, out word);

    /// <summary>Commits what was written: Writing → Filled, then a ready cell.</summary>
    public void Fill(int slot, long writing, int length)
    {
        Describe(slot, length);
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.described");
        long filled = SlotWord.NextLap(writing, SlotState.Filled, me, attempts: 0);
        // Release: the commit. Pairs with the acquire in TryTake. A plain store, since nobody moves what a live participant is writing;
        // from here on the message survives this process, and a sweeper appends the cell if this process cannot.
        Volatile.Write(ref Word(slot), filled);
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.word");
        ready.Push(slot, SlotWord.Lap(filled));
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.pushed");
        if (workerBell.SomeoneWaits) workerBell.Ring();
    }

    /// <summary>Commits what was written without ever making it ready: Writing → Leased.</summary>
    public long Keep(int slot, long writing, int length)
    {
        Describe(slot, length);
        if (FaultPoints.On) FaultPoints.Reach("queue.keep.described");
        long leased = SlotWord.Move(writing, SlotState.Leased, me);
        // Release: the commit. Pairs with the acquire in QueueSweep, which gives the message to others should this process die.
        Volatile.Write(ref Word(slot), leased);
        if (FaultPoints.On) FaultPoints.Reach("queue.keep.word");
        return leased;
    }

    /// <summary>Completes a lease, drops a dead letter, or aborts a claim: the exact word → Released, then a free cell.</summary>
    /// <returns><see langword="false"/> where the word has moved on.</returns>
    public bool TryRelease(in SlotToken token) => TryMove(token, SlotState.Released, 0, free, senderBell);

    /// <summary>Gives a lease back, or requeues a dead letter: the exact word → Filled, then a ready cell.</summary>
    /// <returns><see langword="false"/> where the word has moved on.</returns>
    public bool TryReturn(in SlotToken token, int attempts) => TryMove(token, SlotState.Filled, attempts, ready, workerBell);

    /// <summary>Gives a message up: the note, then the exact word → Dead.</summary>
    /// <returns><see langword="false"/> where the word has moved on.</returns>
    public bool TryGiveUp(in SlotToken token, int attempts, string reason)
    {
        if (Volatile.Read(ref Word(token.Index)) != token.Word) return false;
        sweep.WriteNote(token.Index, reason);
        if (FaultPoints.On) FaultPoints.Reach("queue.give-up.note");
        long dead = SlotWord.Make(SlotState.Dead, SlotWord.Nobody, Math.Min(attempts, SlotWord.MaxAttempts), SlotWord.Lap(token.Word));
        // Full fence: the note is visible before the state that says it is there.
        return Interlocked.CompareExchange(ref Word(token.Index), dead, token.Word) == token.Word;
    }

    private bool TryMove(in SlotToken token, SlotState state, int attempts, IndexQueue queue, Doorbell bell)
    {
        long next = SlotWord.NextLap(token.Word, state, me, attempts);
        // Exact, full fence: this is the completion, or the return. The one who moves the word owes the cell.
        if (Interlocked.CompareExchange(ref Word(token.Index), next, token.Word) != token.Word) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.end.word");
        if (!FaultPoints.On || !FaultPoints.Plants("queue.end.forgets-cells")) queue.Push(token.Index, SlotWord.Lap(next));
        if (FaultPoints.On) FaultPoints.Reach("queue.end.pushed");
        if (bell.SomeoneWaits) bell.Ring();
        return true;
    }

    /// <summary>Takes the first slot of an index queue by moving its word; steps over cells whose slots have moved on.</summary>
    private bool TryTake(IndexQueue queue, SlotState from, SlotState to, out int slot, out long word)
    {
        for (int i = 0; i < IndexQueue.MostTries; i++)
        {
            word = 0;
            slot = 0;
            if (!queue.TryPeek(out long head, out long cell)) return false;
            slot = IndexCell.Slot(cell);
            if (slot >= layout.Slots) throw new CorruptSegmentException($"{path}: a cell names slot {slot:N0} of {layout.Slots:N0}");
            // Acquire: pairs with the release in Fill and the CAS in TryMove; the slot's bytes are those that its word speaks of.
            long seen = Volatile.Read(ref Word(slot));
            if (IsLive(cell, seen, from))
            {
                word = SlotWord.Move(seen, to, me);
                // Full fence: this is the take. It fails where another took the slot first, or swept it.
                if (Interlocked.CompareExchange(ref Word(slot), word, seen) != seen) continue;
                if (FaultPoints.On) FaultPoints.Reach("queue.take.word");
                queue.Advance(head);
                if (FaultPoints.On) FaultPoints.Reach("queue.take.head");
                return true;
            }

            queue.Advance(head);
        }

        throw queue.NoProgress("take");
    }

    /// <summary>Whether a cell still speaks for its slot; once it does not, it never does again.</summary>
    public static bool IsLive(long cell, long word, SlotState state) =>
        SlotWord.State(word) == state && (SlotWord.Lap(word) & IndexCell.LapMask) == IndexCell.Lap(cell);

    private void Describe(int slot, int length)
    {
        long at = layout.Slot(slot);
        map.Int(at + QueueLayout.Length) = length;
        map.Int(at + QueueLayout.Kind) = QueueLayout.KindInline;
        map.Long(at + QueueLayout.SentAt) = Environment.TickCount64;
        map.Long(at + QueueLayout.NotBefore) = 0;
        map.Int(at + QueueLayout.NoteLength) = 0;
    }
}
