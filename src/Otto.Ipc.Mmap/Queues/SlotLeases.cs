using System.Buffers;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Transports;

namespace Otto.Ipc.Mmap.Queues;

// The working direction of a handle: leases messages, and ends leases. Each call counts as in flight, and so does each lease until it ends.

internal sealed class SlotLeases(SlotTable slots, SlotLoans loans, SlotResults results, PassedOverSlots passedOver, Doorbell workerBell)
    : IWorkLeaseOwner
{
    private readonly UseCounter _gate = slots.Gate;
    private readonly SegmentFile _segment = slots.Segment;
    private readonly SegmentMapping _map = slots.Map;
    private readonly QueueLayout _layout = slots.Layout;
    private readonly SlotTransitions _moves = slots.Moves;
    private readonly SlotHistory _history = new(slots.Map, slots.Layout);
    private readonly SlotMemoryManager?[] _memories = new SlotMemoryManager?[slots.Layout.Slots];

    /// <summary>How this handle's process works on what it leases.</summary>
    public WorkHandling DefaultHandling { get; set; }

    public bool TryLease(out WorkLease lease)
    {
        lease = default;
        _gate.Enter();
        bool leased = false;
        try
        {
            if (!passedOver.TryLease(out int slot, out long word) && !_moves.TryLease(out slot, out word))
                return _segment.IsRetired ? throw _segment.Retired() : false;
            if (DefaultHandling != WorkHandling.Alone) _history.SetHandling(new SlotToken(word, slot), DefaultHandling);
            // Read once: it is shared, so it may hold anything, and may change after the check.
            int length = Volatile.Read(ref _map.Int(_layout.Slot(slot) + QueueLayout.Length));
            int kind = Volatile.Read(ref _map.Byte(_layout.Slot(slot) + QueueLayout.Kind));
            if (kind == QueueLayout.KindLoan) lease = loans.LeaseOf(this, slot, word);
            else if ((uint)length > (uint)_layout.SlotBytes || kind != QueueLayout.KindInline)
                slots.ThrowBadSlot(slot, word, $"has length {length:N0} of {_layout.SlotBytes:N0} and kind {kind}");
            else lease = LeaseOf(slot, word, length);
            _segment.Meter.Received(lease.Payload.Length);
            leased = true; // what is in flight now ends with the lease
            return true;
        }
        finally
        {
            if (!leased) _gate.Exit();
        }
    }

    public bool TrySendAndLease(ReadOnlySpan<byte> message, out WorkLease lease)
    {
        slots.CheckSize(message.Length);
        if (message.Length > _layout.SlotBytes) return loans.TrySendAndLease(this, message, out lease);
        lease = default;
        _gate.Enter();
        bool kept = false;
        try
        {
            if (!_moves.TryClaim(out int slot, out long word)) return false;
            _segment.Meter.Sent(message.Length);
            message.CopyTo(_map.Bytes(_layout.Slot(slot) + QueueLayout.Payload, message.Length));
            long leased = _moves.Keep(slot, word, message.Length);
            lease = LeaseOf(slot, leased, message.Length);
            kept = true;
            return true;
        }
        finally
        {
            if (!kept) _gate.Exit();
        }
    }

    public LabelledSendResult TrySendAndLease(SlotLabels labelled, ReadOnlySpan<byte> message, in MessageLabels labels, KeyMatch? hasKey,
        out WorkLease lease)
    {
        slots.CheckSize(message.Length);
        lease = default;
        _gate.Enter();
        bool leased = false;
        try
        {
            LabelledSendResult result =
                labelled.TrySend(message, labels, SlotState.Leased, notBefore: 0, hasKey, out int slot, out long word);
            if (result.Status != LabelledSendStatus.Sent) return result;
            lease = message.Length > _layout.SlotBytes ? loans.LeaseOf(this, slot, word) : LeaseOf(slot, word, message.Length);
            leased = true; // what is in flight now ends with the lease
            return result;
        }
        finally
        {
            if (!leased) _gate.Exit();
        }
    }

    /// <summary>Sets which passed-over messages are taken here.</summary>
    public void SetSubjects(IReadOnlyCollection<ulong> subjects)
    {
        passedOver.SetSubjects(subjects);
        workerBell.Ring(); // Those that wait here look again.
    }

    /// <summary>Takes back that a message is to be cancelled.</summary>
    public void WithdrawCancelRequest(WorkId id)
    {
        SlotToken token = id.ToToken();
        if ((uint)token.Index >= (uint)_layout.Slots) return;
        _gate.Enter();
        try
        {
            _history.WithdrawCancel(token.Index, token.Word);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Whether a message is to be cancelled, held or not.</summary>
    public bool IsCancelRequested(WorkId id)
    {
        SlotToken token = id.ToToken();
        if ((uint)token.Index >= (uint)_layout.Slots) return false;
        _gate.Enter();
        try
        {
            return _history.IsCancelRequested(token.Index, out long use) && use == token.Word;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public int CompleteBatch(ReadOnlySpan<WorkLease> leases)
    {
        int count = 0;
        foreach (ref readonly WorkLease lease in leases)
        {
            if (lease.TryGetToken(this, out SlotToken token) && End(token, Ending.Released)) count++;
        }

        return count;
    }

    /// <summary>Requeues or drops a dead letter.</summary>
    public bool EndDead(DeadLetterId id, Ending ending)
    {
        SlotToken token = id.ToToken();
        if ((uint)token.Index >= (uint)_layout.Slots || SlotWord.State(token.Word) != SlotState.Dead) return false;
        _gate.Enter();
        try
        {
            if (Volatile.Read(ref _moves.Word(token.Index)) != token.Word) return false; // No longer that dead letter.
            if (ending == Ending.Returned)
            {
                _history.Forget(token.Index);
                _history.ForgetCancel(token.Index);
            }

            return Move(token, ending, attempts: 0, "", notBefore: 0);
        }
        finally
        {
            _gate.Exit();
        }
    }

    PayloadRetention IWorkLeaseOwner.Retain(in SlotToken token, ReadOnlyMemory<byte> payload) => loans.Hold(token, payload);

    bool IWorkLeaseOwner.Complete(in SlotToken token) => End(token, Ending.Released);

    bool IWorkLeaseOwner.Complete(in SlotToken token, ReadOnlySpan<byte> result)
    {
        if (!_gate.TryEnterLate()) return false;
        bool ended = false;
        try
        {
            return ended = results.TryKeep(token, result);
        }
        finally
        {
            _gate.Exit(ended ? 2 : 1);
        }
    }

    bool IWorkLeaseOwner.PassOver(in SlotToken token, ulong subject)
    {
        if (!_gate.TryEnterLate()) return false;
        bool ended = false;
        try
        {
            ended = _moves.TryPassOver(token, subject);
            if (!ended) return false;
            passedOver.Announce();
            workerBell.Ring(); // Another worker may take it.
            return true;
        }
        finally
        {
            _gate.Exit(ended ? 2 : 1);
        }
    }

    bool IWorkLeaseOwner.Abandon(in SlotToken token, bool countAttempt, TimeSpan delay)
    {
        SlotTable.CheckDelay(delay);
        int attempts = SlotWord.Attempts(token.Word) + (countAttempt ? 1 : 0);
        if (countAttempt && attempts >= _layout.MaxAttempts)
            return End(token, Ending.GivenUp, attempts, $"released {attempts} times, the queue's limit");
        if (!countAttempt) _history.Keep(token);
        return Return(token, attempts, delay);
    }

    bool IWorkLeaseOwner.Repeat(in SlotToken token, TimeSpan delay)
    {
        SlotTable.CheckDelay(delay);
        if (!_gate.TryEnterLate()) return false;
        try
        {
            if (_history.IsCancelRequested(token.Index, out long use)) return End(token, Ending.Released);
            _history.Forget(token.Index);
            if (FaultPoints.On) FaultPoints.Reach("queue.repeat.forgotten");
            if (!Return(token, attempts: 0, delay)) return false;
            if (FaultPoints.On) FaultPoints.Reach("queue.repeat.returned");
            // Full fence: pairs with the one of SlotHistory.RequestCancel. Who asked before the word moved found the message held; one of
            // us sees the other.
            Interlocked.MemoryBarrier();
            if (_history.IsCancelRequested(token.Index, out long now) && now == use) _moves.TryCancel(token.Index, use);
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    bool IWorkLeaseOwner.IsCancelRequested(in SlotToken token)
    {
        if (!_gate.TryEnterLate()) return false;
        try
        {
            return _history.IsCancelRequested(token.Index, out _);
        }
        finally
        {
            _gate.Exit();
        }
    }

    void IWorkLeaseOwner.SetHandling(in SlotToken token, WorkHandling handling)
    {
        if (!_gate.TryEnterLate()) return;
        try
        {
            if (Volatile.Read(ref _moves.Word(token.Index)) == token.Word) _history.SetHandling(token, handling);
        }
        finally
        {
            _gate.Exit();
        }
    }

    DeliveryHistory IWorkLeaseOwner.GetHistory(in SlotToken token)
    {
        if (!_gate.TryEnterLate()) return default;
        try
        {
            return _history.Of(token);
        }
        finally
        {
            _gate.Exit();
        }
    }

    /// <summary>Notes that a message is to be cancelled, held or not.</summary>
    public bool RequestCancel(WorkId id)
    {
        SlotToken token = id.ToToken();
        if ((uint)token.Index >= (uint)_layout.Slots) return false;
        _gate.Enter();
        try
        {
            return _history.RequestCancel(token.Index, token.Word);
        }
        finally
        {
            _gate.Exit();
        }
    }

    bool IWorkLeaseOwner.DeadLetter(in SlotToken token, string reason) =>
        End(token, Ending.GivenUp, SlotWord.Attempts(token.Word) + 1, reason);

    /// <summary>Ends a lease. Allowed after a dispose, which waits for it.</summary>
    private bool End(in SlotToken token, Ending ending, int attempts = 0, string reason = "", long notBefore = 0)
    {
        if (!_gate.TryEnterLate()) return false;
        bool ended = false;
        try
        {
            return ended = Move(token, ending, attempts, reason, notBefore);
        }
        finally
        {
            _gate.Exit(ended ? 2 : 1); // the call, and the lease
        }
    }

    private bool Move(in SlotToken token, Ending ending, int attempts, string reason, long notBefore) => ending switch
    {
        Ending.Released => _moves.TryRelease(token),
        Ending.Returned => _moves.TryReturn(token, attempts),
        Ending.ReturnedLater => _moves.TryReturnLater(token, attempts, notBefore),
        _ => _moves.TryGiveUp(token, attempts, reason),
    };

    private bool Return(in SlotToken token, int attempts, TimeSpan delay) => delay == TimeSpan.Zero
        ? End(token, Ending.Returned, attempts)
        : End(token, Ending.ReturnedLater, attempts, notBefore: DelayedSlots.DueAfter(delay));

    private WorkLease LeaseOf(int slot, long word, int length)
    {
        SlotMemoryManager memory =
            _memories[slot] ??= new SlotMemoryManager(_map, _layout.Slot(slot) + QueueLayout.Payload, _layout.SlotBytes);
        return new WorkLease(this, new SlotToken(word, slot), memory.Memory[..length], SlotWord.Attempts(word) + 1);
    }

    // A slot's payload as Memory, so that a lease can cross an await. One object a slot, made on first use and kept.
    private sealed class SlotMemoryManager(SegmentMapping mapping, long offset, int length) : MemoryManager<byte>
    {
        public override Span<byte> GetSpan()
        {
            ObjectDisposedException.ThrowIf(mapping.IsUnmapped, typeof(WorkQueue));
            return mapping.Bytes(offset, length);
        }

        public override unsafe MemoryHandle Pin(int elementIndex = 0)
        {
            // Shared memory does not move; there is nothing to pin.
            ArgumentOutOfRangeException.ThrowIfGreaterThan((uint)elementIndex, (uint)length);
            ObjectDisposedException.ThrowIf(mapping.IsUnmapped, typeof(WorkQueue));
            return new MemoryHandle((void*)(mapping.Address(offset) + elementIndex));
        }

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}

/// <summary>How a lease ends, or a dead letter.</summary>
internal enum Ending
{
    Released,
    Returned,
    ReturnedLater,
    GivenUp,
}
