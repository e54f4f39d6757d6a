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
    private readonly SlotFiling _filing;
    private readonly QueueTotals _totals;
    private readonly KeptSlots _kept;
    private readonly Func<SlotToken, bool> _drop;
    private readonly Func<int, long, bool> _promote;
    private readonly Action<BlockDescriptor> _loanEnded;
    private readonly SegmentFile _segment;
    private readonly int _me;

    public SlotTransitions(
        SegmentFile segment, QueueLayout layout, IndexQueue free, IndexQueue ready, Doorbell workerBell, Doorbell senderBell,
        DelayedSlots delayed, QueueRecovery sweep, SlotFiling filing, QueueTotals totals, KeptSlots kept, Action<BlockDescriptor> loanEnded,
        int me)
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
        _filing = filing;
        _totals = totals;
        _kept = kept;
        _loanEnded = loanEnded;
        _me = me;
        _promote = TryPromote;
        _drop = token => TryRelease(token);
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
            // Or of results that nobody comes for.
            || (TryMakeRoom() && TryTake(_free, SlotState.Released, SlotState.Writing, out slot, out word))) return true;
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
    public void Fill(int slot, long writing, int length, int kind = QueueLayout.KindInline, SlotTags tags = SlotTags.None)
    {
        Describe(slot, writing, length, kind, notBefore: 0, tags);
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.described");
        long filled = SlotWord.NextLap(writing, SlotState.Filled, _me, attempts: 0);
        // Release: the commit. Pairs with the acquire in TryTake. A plain store, since nobody moves what a live participant is writing.
        // From here on the message survives this process, and a sweeper appends the cell if this process cannot.
        Volatile.Write(ref Word(slot), filled);
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.word");
        _ready.Push(slot, SlotWord.Lap(filled));
        if (FaultPoints.On) FaultPoints.Reach("queue.fill.pushed");
        if (_workerBell.SomeoneWaits) _workerBell.Ring();
    }

    /// <summary>Commits what was written, for later: Writing → Delayed, then the time to look.</summary>
    public void Delay(
        int slot, long writing, int length, long notBefore, int kind = QueueLayout.KindInline, SlotTags tags = SlotTags.None)
    {
        Describe(slot, writing, length, kind, notBefore, tags);
        if (FaultPoints.On) FaultPoints.Reach("queue.delay.described");
        // Release: the commit. Pairs with the acquire in DelayedSlots.Promote.
        Volatile.Write(ref Word(slot), SlotWord.Move(writing, SlotState.Delayed, _me));
        _totals.Moved(SlotState.Writing, SlotState.Delayed);
        Delayed(slot, notBefore);
    }

    /// <summary>Commits what was written without ever making it ready: Writing → Leased.</summary>
    public long Keep(int slot, long writing, int length, int kind = QueueLayout.KindInline, SlotTags tags = SlotTags.None)
    {
        Describe(slot, writing, length, kind, notBefore: 0, tags);
        LeaseTime.Store(_map, _layout.Slot(slot), writing);
        if (FaultPoints.On) FaultPoints.Reach("queue.keep.described");
        long leased = SlotWord.Move(writing, SlotState.Leased, _me);
        // Release: the commit. Pairs with the acquire in QueueRecovery, which gives the message to others should this process die.
        Volatile.Write(ref Word(slot), leased);
        if (FaultPoints.On) FaultPoints.Reach("queue.keep.word");
        return leased;
    }

    /// <summary>Completes what was written and has a key: Writing → Offered. The key
    /// decides whether it is committed.</summary>
    public long Offer(int slot, long writing, int length, int kind, long notBefore, SlotTags tags)
    {
        Describe(slot, writing, length, kind, notBefore, tags);
        LeaseTime.Store(_map, _layout.Slot(slot), writing);
        if (FaultPoints.On) FaultPoints.Reach("queue.offer.described");
        long offered = SlotWord.Move(writing, SlotState.Offered, _me);
        // Release: pairs with the acquire of whoever meets the slot in the index and commits it.
        Volatile.Write(ref Word(slot), offered);
        if (FaultPoints.On) FaultPoints.Reach("queue.offer.word");
        return offered;
    }

    /// <summary>Commits an offered message that is in the index: Offered → what its sender wanted, exact. Anyone may,
    /// so that a sender that is stopped does not hold up its key.</summary>
    /// <returns><see langword="true"/> if this call did; otherwise, <see langword="false"/>: another did.</returns>
    public bool TryCommitOffered(int slot, long offered)
    {
        SlotState intent = (SlotState)(Volatile.Read(ref _map.Int(_layout.Labels(slot) + QueueLayout.Intent)) & 0xFF);
        if (intent == SlotState.Filled) return TryMove(new SlotToken(offered, slot), SlotState.Filled, 0, _ready, _workerBell);
        long notBefore = Volatile.Read(ref _map.Long(_layout.Slot(slot) + QueueLayout.NotBefore));
        // A lease stays the sender's; a time to look is owed by whoever commits.
        long next = intent == SlotState.Delayed ? SlotWord.Move(offered, SlotState.Delayed, _me)
            : SlotWord.Move(offered, SlotState.Leased, SlotWord.Owner(offered));
        if (Interlocked.CompareExchange(ref Word(slot), next, offered) != offered) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.offer.committed");
        _totals.Moved(SlotState.Offered, SlotWord.State(next));
        if (intent == SlotState.Delayed) Delayed(slot, notBefore);
        return true;
    }

    /// <summary>Commits a slot's message, if its word is that of one that is offered.</summary>
    public void CommitOffered(int slot, long word)
    {
        if (SlotWord.State(word) == SlotState.Offered) TryCommitOffered(slot, word);
    }

    /// <summary>Keeps a result: Leased → Ending, the result, → Kept.</summary>
    /// <param name="token">The lease.</param>
    /// <param name="result">The result, if it fits behind the labels.</param>
    /// <param name="block">Otherwise, its block; begun to be sent.</param>
    /// <returns><see langword="true"/> if it was kept; otherwise, <see langword="false"/>:
    /// the word has moved on.</returns>
    public bool TryKeepResult(in SlotToken token, ReadOnlySpan<byte> result, BlockDescriptor? block)
    {
        BlockDescriptor? payload = LoanOf(token);
        if (!TryBeginEnd(token, out long ending)) return false;
        long labels = _layout.Labels(token.Index);
        long until = _kept.ResultUntil(token.Index);
        Filing filing = _filing.Of(token.Index);
        _map.Long(labels + QueueLayout.Until) = until;
        _map.Long(labels + QueueLayout.Subject) = _totals.Changes;
        _map.Int(labels + QueueLayout.NoteLength) = block is null ? result.Length : BlockDescriptor.Bytes;
        _map.Int(labels + QueueLayout.NoteKind) = block is null ? QueueLayout.KindInline : QueueLayout.KindLoan;
        if (block is { } large) large.Write(_map, labels + QueueLayout.Note);
        else result.CopyTo(_map.Bytes(labels + QueueLayout.Note, QueueLayout.NoteBytes));
        if (FaultPoints.On) FaultPoints.Reach("queue.result.described");
        // Release: this is the completion, and the result's being there. Pairs with the acquire in SlotResults.
        Volatile.Write(ref Word(token.Index),
            SlotWord.Make(SlotState.Kept, SlotWord.NoOwner, SlotWord.Attempts(ending), SlotWord.Lap(ending)));
        if (FaultPoints.On) FaultPoints.Reach("queue.result.word");
        _filing.RemoveKey(token.Index, filing);
        _totals.Moved(SlotState.Ending, SlotState.Kept);
        _kept.Lower(until);
        if (payload is { } ended) _loanEnded(ended);
        return true;
    }

    /// <summary>Completes a lease, drops a dead letter, or aborts a claim: the exact word →
    /// Released, then a free cell.</summary>
    /// <returns><see langword="true"/> if the slot was released; otherwise, <see langword="false"/>: the word has
    /// moved on.</returns>
    public bool TryRelease(in SlotToken token) => TryMove(token, SlotState.Released, 0, _free, _senderBell);

    /// <summary>Returns a lease, or requeues a dead letter: the exact word → Filled, then a ready cell.</summary>
    /// <returns><see langword="true"/> if the message was returned; otherwise, <see langword="false"/>: the word has
    /// moved on.</returns>
    public bool TryReturn(in SlotToken token, int attempts)
    {
        // A dead letter holds no key; one that is requeued does again, beside another that may have it.
        if (SlotWord.State(token.Word) == SlotState.Dead) _filing.AddKey(token.Index);
        return TryMove(token, SlotState.Filled, attempts, _ready, _workerBell);
    }

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
        _totals.Moved(SlotState.Ending, SlotState.Delayed);
        Delayed(token.Index, notBefore);
        return true;
    }

    /// <summary>Gives a message up: Leased → Ending, the note, → Dead.</summary>
    /// <returns><see langword="true"/> if the message was given up; otherwise, <see langword="false"/>: the word has
    /// moved on.</returns>
    public bool TryGiveUp(in SlotToken token, int attempts, string reason)
    {
        if (!TryBeginEnd(token, out long ending)) return false;
        long until = _kept.DeadUntil;
        Filing filing = _filing.Of(token.Index);
        _sweep.WriteNote(token.Index, reason, until);
        if (FaultPoints.On) FaultPoints.Reach("queue.give-up.note");
        // Release: the note is visible before the state that says it is there. Pairs with the acquire in QueueSnapshot.DeadLetters.
        Volatile.Write(ref Word(token.Index),
            SlotWord.Make(SlotState.Dead, SlotWord.NoOwner, Math.Min(attempts, SlotWord.MaxAttempts), SlotWord.Lap(ending)));
        if (FaultPoints.On) FaultPoints.Reach("queue.give-up.word");
        _filing.RemoveKey(token.Index, filing);
        _totals.Moved(SlotState.Ending, SlotState.Dead);
        _kept.Lower(until);
        _kept.DropOldestDead(_drop);
        return true;
    }

    /// <summary>Cancels a message that no worker has begun: Filled → Cancelled, or Delayed → Released.</summary>
    /// <returns><see langword="true"/> if the message was cancelled; otherwise, <see langword="false"/>: it was
    /// leased, done or given up.</returns>
    public bool TryCancel(int slot, long use)
    {
        if (FaultPoints.Plants("queue.cancel.forgotten")) return true;
        for (int i = 0; i < IndexQueue.MostTries; i++)
        {
            // Acquire: the use is the one of this word; should the word change meanwhile, the exact CAS fails.
            long word = Volatile.Read(ref Word(slot));
            SlotState state = SlotWord.State(word);
            if (state is not (SlotState.Filled or SlotState.Delayed or SlotState.Aside)
                || Volatile.Read(ref _map.Long(_layout.Slot(slot) + QueueLayout.Use)) != use) return false;
            if (state != SlotState.Filled)
            {
                if (TryWithdraw(new SlotToken(word, slot))) return true;
                continue;
            }

            // The lap and the owner stay: the cell that stands for the slot, or is still owed for it, leads
            // whoever comes to it to release the slot.
            if (Interlocked.CompareExchange(ref Word(slot), SlotWord.Move(word, SlotState.Cancelled, SlotWord.Owner(word)), word) != word)
                continue;
            if (FaultPoints.On) FaultPoints.Reach("queue.cancel.word");
            _totals.Moved(SlotState.Filled, SlotState.Cancelled);
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
            if (IsLive(cell, seen, SlotState.Cancelled) && TryWithdraw(new SlotToken(seen, slot))) reaped++;
            if (FaultPoints.On) FaultPoints.Reach("queue.reap.released");
            _ready.Advance(head);
        }

        throw _ready.NoProgress("step over cancelled messages");
    }

    /// <summary>Ends a cancelled message: releases its slot, or keeps it where a caller may
    /// wait for its result.</summary>
    private bool TryWithdraw(in SlotToken token)
    {
        // Read before the slot is given away; the exact CAS says that they were this message's.
        Filing filing = _filing.Of(token.Index);
        long until = Volatile.Read(ref _map.Long(_layout.Labels(token.Index) + QueueLayout.Until));
        if ((filing.Tags & SlotTags.KeepsResult) == 0) return TryRelease(token);
        BlockDescriptor? loan = LoanOf(token);
        long next = SlotWord.Make(SlotState.Withdrawn, SlotWord.NoOwner, SlotWord.Attempts(token.Word), SlotWord.Lap(token.Word));
        if (Interlocked.CompareExchange(ref Word(token.Index), next, token.Word) != token.Word) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.withdraw.word");
        _filing.RemoveKey(token.Index, filing);
        _totals.Moved(SlotWord.State(token.Word), SlotState.Withdrawn);
        // Kept from now on, not from when it was sent. Exact: the slot may have a later message by now.
        ref long kept = ref _map.Long(_layout.Labels(token.Index) + QueueLayout.Until);
        long from = _kept.ResultUntil(token.Index);
        _kept.Lower(Interlocked.CompareExchange(ref kept, from, until) == until ? from : until);
        if (loan is { } block) _loanEnded(block);
        return true;
    }

    /// <summary>Leaves a lease to workers that take its subject: Leased → Ending, the subject, → Aside.</summary>
    /// <returns><see langword="true"/> if the message was left; otherwise, <see langword="false"/>: the word has
    /// moved on.</returns>
    public bool TryPassOver(in SlotToken token, ulong subject)
    {
        if (!TryBeginEnd(token, out long ending)) return false;
        Volatile.Write(ref _map.Long(_layout.Labels(token.Index) + QueueLayout.Subject), (long)subject);
        if (FaultPoints.On) FaultPoints.Reach("queue.pass-over.described");
        // Release: the subject is visible before the state. Pairs with the acquire in PassedOverSlots.
        Volatile.Write(ref Word(token.Index),
            SlotWord.Make(SlotState.Aside, SlotWord.NoOwner, SlotWord.Attempts(ending), SlotWord.Lap(ending)));
        if (FaultPoints.On) FaultPoints.Reach("queue.pass-over.word");
        _totals.Moved(SlotState.Ending, SlotState.Aside);
        return true;
    }

    /// <summary>Leases a message that was passed over: Aside → Leased, exact.</summary>
    public bool TryLeaseAside(in SlotToken token, out long word)
    {
        word = SlotWord.Move(token.Word, SlotState.Leased, _me);
        if (Interlocked.CompareExchange(ref Word(token.Index), word, token.Word) != token.Word) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.take.aside");
        _totals.Moved(SlotState.Aside, SlotState.Leased);
        LeaseTime.Store(_map, _layout.Slot(token.Index), word);
        return true;
    }

    /// <inheritdoc cref="QueueTotals.UsedSlots"/>
    public int UsedSlots => _totals.UsedSlots;

    /// <summary>Frees slots of messages that were cancelled, or of results that are not collected.</summary>
    public bool TryMakeRoom() => Reap() > 0 | _kept.TryMakeRoom(_drop);

    /// <summary>Drops results and dead letters whose time is over.</summary>
    public void DropExpired() => _kept.DropExpired(_drop);

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
        bool ends = state == SlotState.Released && SlotWord.State(token.Word) != SlotState.Writing;
        BlockDescriptor? loan = ends ? LoanOf(token) : null;
        Filing filing = ends ? _filing.Of(token.Index) : default;
        // Exact, full fence: this is the completion, or the return. The one who moves the word owes the cell.
        if (Interlocked.CompareExchange(ref Word(token.Index), next, token.Word) != token.Word) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.end.word");
        _totals.Moved(SlotWord.State(token.Word), state);
        if (filing.Tags != SlotTags.None) _filing.Remove(token.Index, filing);
        if (!FaultPoints.On || !FaultPoints.Plants("queue.end.forgets-cells")) queue.Push(token.Index, SlotWord.Lap(next));
        if (FaultPoints.On) FaultPoints.Reach("queue.end.pushed");
        if (bell.SomeoneWaits) bell.Ring();
        // After the message has ended: a block that is freed before could be another's while the message still names it.
        if (loan is { } block) _loanEnded(block);
        return true;
    }

    /// <summary>The block that a message has in its present state: of the result where it
    /// is kept, otherwise of the payload.</summary>
    private BlockDescriptor? LoanOf(in SlotToken token)
    {
        long labels = _layout.Labels(token.Index);
        return SlotWord.State(token.Word) switch
        {
            SlotState.Withdrawn => null,
            SlotState.Kept => Volatile.Read(ref _map.Byte(labels + QueueLayout.NoteKind)) == QueueLayout.KindLoan
                ? BlockDescriptor.Read(_map, labels + QueueLayout.Note) : null,
            _ => Volatile.Read(ref _map.Byte(_layout.Slot(token.Index) + QueueLayout.Kind)) == QueueLayout.KindLoan
                ? BlockDescriptor.Read(_map, _layout.Slot(token.Index) + QueueLayout.Payload) : null,
        };
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

    private void Describe(int slot, long writing, int length, int kind, long notBefore, SlotTags tags)
    {
        long at = _layout.Slot(slot);
        _map.Int(at + QueueLayout.Length) = length;
        _map.Int(at + QueueLayout.Kind) = kind | (int)tags << 8;
        _map.Long(at + QueueLayout.SentAt) = MachineClock.CoarseMilliseconds;
        _map.Long(at + QueueLayout.NotBefore) = notBefore;
        _map.Long(at + QueueLayout.Use) = SlotWord.Lap(writing);
        // After the use, which a cell of the index is proven by; before the commit, so that who was told of the message finds it.
        _filing.AddId(slot, tags);
    }
}
