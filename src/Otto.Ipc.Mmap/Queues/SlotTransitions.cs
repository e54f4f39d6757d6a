using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Queues;

// The steps of the protocol, each one CAS (or, where nobody else may move the word, one store) of a slot's word, then a cell for whoever
// looks for the slot next. docs/layouts.md has the table of steps, and what a crash after each of them leaves.

internal sealed class SlotTransitions
{
    private readonly SegmentMapping _map;
    private readonly QueueLayout _layout;
    private readonly IndexQueue _free;
    private readonly IndexQueue _ready;
    private readonly Doorbell _workerBell;
    private readonly Doorbell _senderBell;
    private readonly DelayedSlots _delayed;
    private readonly QueueRecovery _sweep;
    private readonly Func<int, long, bool> _promote;
    private readonly Action<BlockDescriptor> _loanEnded;
    private readonly SegmentFile _segment;
    private readonly int _me;

    public SlotTransitions(
        SegmentFile segment, QueueLayout layout, IndexQueue free, IndexQueue ready, Doorbell workerBell, Doorbell senderBell,
        DelayedSlots delayed, QueueRecovery sweep, Action<BlockDescriptor> loanEnded, int me)
    {
        _segment = segment;
        _map = segment.Mapping;
        _layout = layout;
        _free = free;
        _ready = ready;
        _workerBell = workerBell;
        _senderBell = senderBell;
        _delayed = delayed;
        _sweep = sweep;
        _loanEnded = loanEnded;
        _me = me;
        _promote = TryPromote;
    }

    public ref long Word(int slot) => ref _map.Long(_layout.Slot(slot));

    /// <summary>Claims a free slot for a message to be sent: Released → Writing.</summary>
    /// <exception cref="SegmentRemovedException">A process that opens the queue from now on would not find the
    /// message.</exception>
    public bool TryClaim(out int slot, out long word)
    {
        if (_segment.IsRetired) throw _segment.Retired();
        if (TryTake(_free, SlotState.Released, SlotState.Writing, out slot, out word)
            // Full: perhaps only of messages that were cancelled, which no participant has come to yet.
            || (Reap() > 0 && TryTake(_free, SlotState.Released, SlotState.Writing, out slot, out word))) return true;
        _segment.Meter.Full();
        return false;
    }

    /// <summary>Leases the next message: Filled → Leased.</summary>
    public bool TryLease(out int slot, out long word)
    {
        if (_delayed.LookAt != DelayedSlots.None) PromoteDue();
        if (!TryTake(_ready, SlotState.Filled, SlotState.Leased, out slot, out word)) return false;
        LeaseTime.Store(_map, _layout.Slot(slot), word);
        return true;
    }

    /// <summary>Commits what was written: Writing → Filled, then a ready cell.</summary>
    public void Fill(int slot, long writing, int length, int kind = QueueLayout.KindInline)
    {
        Describe(slot, writing, length, kind, notBefore: 0);
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.described");
        long filled = SlotWord.NextLap(writing, SlotState.Filled, _me, attempts: 0);
        // Release: the commit. Pairs with the acquire in TryTake. A plain store, since nobody moves what a live participant is writing;
        // from here on the message survives this process, and a sweeper appends the cell if this process cannot.
        Volatile.Write(ref Word(slot), filled);
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.word");
        _ready.Push(slot, SlotWord.Lap(filled));
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.pushed");
        if (_workerBell.SomeoneWaits) _workerBell.Ring();
    }

    /// <summary>Commits what was written, for later: Writing → Delayed, then the time to look.</summary>
    public void Delay(int slot, long writing, int length, long notBefore, int kind = QueueLayout.KindInline)
    {
        Describe(slot, writing, length, kind, notBefore);
        if (FaultPoints.On) FaultPoints.Reach("queue.delay.described");
        // Release: the commit. Pairs with the acquire in DelayedSlots.Promote.
        Volatile.Write(ref Word(slot), SlotWord.Move(writing, SlotState.Delayed, _me));
        Delayed(slot, notBefore);
    }

    /// <summary>Commits what was written without ever making it ready: Writing → Leased.</summary>
    public long Keep(int slot, long writing, int length, int kind = QueueLayout.KindInline)
    {
        Describe(slot, writing, length, kind, notBefore: 0);
        LeaseTime.Store(_map, _layout.Slot(slot), writing);
        if (FaultPoints.On) FaultPoints.Reach("queue.keep.described");
        long leased = SlotWord.Move(writing, SlotState.Leased, _me);
        // Release: the commit. Pairs with the acquire in QueueRecovery, which gives the message to others should this process die.
        Volatile.Write(ref Word(slot), leased);
        if (FaultPoints.On) FaultPoints.Reach("queue.keep.word");
        return leased;
    }

    /// <summary>Completes a lease, drops a dead letter, or aborts a claim: the exact word →
    /// Released, then a free cell.</summary>
    /// <returns><see langword="true"/> if the slot was released; otherwise, <see langword="false"/>: the word has
    /// moved on.</returns>
    public bool TryRelease(in SlotToken token) => TryMove(token, SlotState.Released, 0, _free, _senderBell);

    /// <summary>Returns a lease, or requeues a dead letter: the exact word → Filled, then a ready cell.</summary>
    /// <returns><see langword="true"/> if the message was returned; otherwise, <see langword="false"/>: the word has
    /// moved on.</returns>
    public bool TryReturn(in SlotToken token, int attempts) => TryMove(token, SlotState.Filled, attempts, _ready, _workerBell);

    /// <summary>Returns a lease with a delay: Leased → Ending, the time, → Delayed.</summary>
    /// <returns><see langword="true"/> if the message was returned; otherwise, <see langword="false"/>: the word has
    /// moved on.</returns>
    public bool TryReturnLater(in SlotToken token, int attempts, long notBefore)
    {
        if (!TryBeginEnd(token, out long ending)) return false;
        Volatile.Write(ref _map.Long(_layout.Slot(token.Index) + QueueLayout.NotBefore), notBefore);
        if (FaultPoints.On) FaultPoints.Reach("queue.return-later.described");
        // Release: the return. Pairs with the acquire in DelayedSlots.Promote. Nobody moves what a live participant is ending.
        Volatile.Write(ref Word(token.Index),
            SlotWord.Make(SlotState.Delayed, _me, Math.Min(attempts, SlotWord.MaxAttempts), SlotWord.Lap(ending)));
        Delayed(token.Index, notBefore);
        return true;
    }

    /// <summary>Gives a message up: Leased → Ending, the note, → Dead.</summary>
    /// <returns><see langword="true"/> if the message was given up; otherwise, <see langword="false"/>: the word has
    /// moved on.</returns>
    public bool TryGiveUp(in SlotToken token, int attempts, string reason)
    {
        if (!TryBeginEnd(token, out long ending)) return false;
        _sweep.WriteNote(token.Index, reason);
        if (FaultPoints.On) FaultPoints.Reach("queue.give-up.note");
        // Release: the note is visible before the state that says it is there. Pairs with the acquire in QueueSnapshot.DeadLetters.
        Volatile.Write(ref Word(token.Index),
            SlotWord.Make(SlotState.Dead, SlotWord.NoOwner, Math.Min(attempts, SlotWord.MaxAttempts), SlotWord.Lap(ending)));
        if (FaultPoints.On) FaultPoints.Reach("queue.give-up.word");
        return true;
    }

    /// <summary>Cancels a message that no worker has begun: Filled → Cancelled, or Delayed → Released.</summary>
    /// <returns><see langword="true"/> if the message was cancelled; otherwise, <see langword="false"/>: it was
    /// leased, done or given up.</returns>
    public bool TryCancel(int slot, long use)
    {
        for (int i = 0; i < IndexQueue.MostTries; i++)
        {
            // Acquire: the use is the one of this word; should the word change meanwhile, the exact CAS fails.
            long word = Volatile.Read(ref Word(slot));
            SlotState state = SlotWord.State(word);
            if (state is not (SlotState.Filled or SlotState.Delayed)
                || Volatile.Read(ref _map.Long(_layout.Slot(slot) + QueueLayout.Use)) != use) return false;
            if (state == SlotState.Delayed)
            {
                if (TryRelease(new SlotToken(word, slot))) return true;
                continue;
            }

            // The lap and the owner stay: the cell that stands for the slot, or is still owed for it, leads
            // whoever comes to it to release the slot.
            if (Interlocked.CompareExchange(ref Word(slot), SlotWord.Move(word, SlotState.Cancelled, SlotWord.Owner(word)), word) != word)
                continue;
            if (FaultPoints.On) FaultPoints.Reach("queue.cancel.word");
            Reap();
            return true;
        }

        throw _ready.NoProgress("cancel");
    }

    /// <summary>Releases the cancelled slots at the head of ready.</summary>
    /// <returns>How many.</returns>
    public int Reap()
    {
        int reaped = 0;
        for (int i = 0; i < IndexQueue.MostTries; i++)
        {
            if (!_ready.TryPeek(out long head, out long cell) || IndexCell.Slot(cell) >= _layout.Slots) return reaped;
            int slot = IndexCell.Slot(cell);
            long seen = Volatile.Read(ref Word(slot));
            if (IsLive(cell, seen, SlotState.Filled)) return reaped;
            // Exact: one of those who see it releases it, and owes the free cell. To all others the cell is one whose slot has moved on.
            if (IsLive(cell, seen, SlotState.Cancelled) && TryRelease(new SlotToken(seen, slot))) reaped++;
            if (FaultPoints.On) FaultPoints.Reach("queue.reap.released");
            _ready.Advance(head);
        }

        throw _ready.NoProgress("step over cancelled messages");
    }

    /// <summary>Moves the delayed messages that are due to the ready messages.</summary>
    /// <returns>The number of messages that were moved.</returns>
    public int PromoteDue() => _delayed.Promote(DelayedSlots.Now, _promote);

    private bool TryPromote(int slot, long word) =>
        TryMove(new SlotToken(word, slot), SlotState.Filled, SlotWord.Attempts(word), _ready, _workerBell);

    private void Delayed(int slot, long notBefore)
    {
        if (FaultPoints.On) FaultPoints.Reach("queue.delay.word");
        bool earlier = _delayed.Lower(slot, notBefore);
        if (FaultPoints.On) FaultPoints.Reach("queue.delay.lowered");
        // Workers that sleep until a later time, or for good, learn of the earlier one.
        if (earlier && _workerBell.SomeoneWaits) _workerBell.Ring();
    }

    /// <summary>Leased → Ending. If several callers end one lease at once, only one of them may write into the
    /// slot.</summary>
    private bool TryBeginEnd(in SlotToken token, out long ending)
    {
        ending = SlotWord.Move(token.Word, SlotState.Ending, _me);
        if (Interlocked.CompareExchange(ref Word(token.Index), ending, token.Word) != token.Word) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.ending.word");
        return true;
    }

    private bool TryMove(in SlotToken token, SlotState state, int attempts, IndexQueue queue, Doorbell bell)
    {
        long next = SlotWord.NextLap(token.Word, state, _me, attempts);
        // Read before the slot is given away; a claim that is aborted still has its last message's.
        bool endsLoan = state == SlotState.Released && SlotWord.State(token.Word) != SlotState.Writing
            && Volatile.Read(ref _map.Int(_layout.Slot(token.Index) + QueueLayout.Kind)) == QueueLayout.KindLoan;
        BlockDescriptor loan = endsLoan ? BlockDescriptor.Read(_map, _layout.Slot(token.Index) + QueueLayout.Payload) : default;
        // Exact, full fence: this is the completion, or the return. The one who moves the word owes the cell.
        if (Interlocked.CompareExchange(ref Word(token.Index), next, token.Word) != token.Word) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.end.word");
        if (!FaultPoints.On || !FaultPoints.Plants("queue.end.forgets-cells")) queue.Push(token.Index, SlotWord.Lap(next));
        if (FaultPoints.On) FaultPoints.Reach("queue.end.pushed");
        if (bell.SomeoneWaits) bell.Ring();
        // After the message has ended: a block that is freed before could be another's while the message still names it.
        if (endsLoan) _loanEnded(loan);
        return true;
    }

    /// <summary>Takes the first slot of an index queue by moving its word; steps over cells
    /// whose slots have moved on.</summary>
    private bool TryTake(IndexQueue queue, SlotState from, SlotState to, out int slot, out long word)
    {
        for (int i = 0; i < IndexQueue.MostTries; i++)
        {
            word = 0;
            slot = 0;
            if (!queue.TryPeek(out long head, out long cell))
            {
                queue.CheckEmpty();
                return false;
            }

            slot = IndexCell.Slot(cell);
            if (slot >= _layout.Slots)
                throw new CorruptSegmentException($"{_segment.Path}: a cell names slot {slot:N0} of {_layout.Slots:N0}");
            // Acquire: pairs with the release in Fill and the CAS in TryMove; the slot's bytes are those that its word speaks of.
            long seen = Volatile.Read(ref Word(slot));
            if (IsLive(cell, seen, from))
            {
                word = SlotWord.Move(seen, to, _me);
                // Full fence: this is the take. It fails where another took the slot first, or swept or cancelled it.
                if (Interlocked.CompareExchange(ref Word(slot), word, seen) != seen) continue;
                if (FaultPoints.On) FaultPoints.Reach("queue.take.word");
                queue.Advance(head);
                if (FaultPoints.On) FaultPoints.Reach("queue.take.head");
                return true;
            }

            if (IsLive(cell, seen, SlotState.Cancelled)) Reap();
            else queue.Advance(head);
        }

        throw queue.NoProgress("take");
    }

    /// <summary>Whether a cell still speaks for its slot; once it does not, it never does again.</summary>
    public static bool IsLive(long cell, long word, SlotState state) =>
        SlotWord.State(word) == state && (SlotWord.Lap(word) & IndexCell.LapMask) == IndexCell.Lap(cell);

    private void Describe(int slot, long writing, int length, int kind, long notBefore)
    {
        long at = _layout.Slot(slot);
        _map.Int(at + QueueLayout.Length) = length;
        _map.Int(at + QueueLayout.Kind) = kind;
        _map.Long(at + QueueLayout.SentAt) = MachineClock.CoarseMilliseconds;
        _map.Long(at + QueueLayout.NotBefore) = notBefore;
        _map.Long(at + QueueLayout.Use) = SlotWord.Lap(writing);
        _map.Int(at + QueueLayout.NoteLength) = 0;
    }
}
