using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Loans;

namespace Otto.Ipc.Mmap.Queues;

// What a handle does with messages: each call counts as in flight, and so does each reserved slot and each lease until it ends.

internal sealed partial class SlotQueue
{
    public override bool TrySend(ReadOnlySpan<byte> message)
    {
        CheckSize(message.Length);
        if (message.Length > _layout.SlotBytes) return _loans.TrySend(message, TimeSpan.Zero, out _);
        _gate.Enter();
        try
        {
            if (!_slots.TryClaim(out int slot, out long word)) return false;
            _segment.Meter.Sent(message.Length);
            message.CopyTo(_map.Bytes(_layout.Slot(slot) + QueueLayout.Payload, message.Length));
            _moves.Fill(slot, word, message.Length);
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override bool TrySend(ReadOnlySpan<byte> message, TimeSpan delay, out WorkId id)
    {
        CheckSize(message.Length);
        CheckDelay(delay);
        if (message.Length > _layout.SlotBytes) return _loans.TrySend(message, delay, out id);
        id = default;
        _gate.Enter();
        try
        {
            if (!_slots.TryClaim(out int slot, out long word)) return false;
            _segment.Meter.Sent(message.Length);
            message.CopyTo(_map.Bytes(_layout.Slot(slot) + QueueLayout.Payload, message.Length));
            id = WorkId.FromToken(new SlotToken(SlotWord.Lap(word), slot));
            if (delay == TimeSpan.Zero) _moves.Fill(slot, word, message.Length);
            else _moves.Delay(slot, word, message.Length, DelayedSlots.DueAfter(delay));
            return true;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override bool Cancel(WorkId id)
    {
        SlotToken token = id.ToToken();
        if ((uint)token.Index >= (uint)_layout.Slots) return false;
        _gate.Enter();
        try
        {
            return _moves.TryCancel(token.Index, token.Word);
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        CheckSize(maxBytes);
        if (maxBytes > _layout.SlotBytes) return _loans.TryReserve(this, maxBytes, out slot);
        slot = default;
        _gate.Enter();
        bool reserved = false;
        try
        {
            if (!_slots.TryClaim(out int index, out long word)) return false;
            reserved = true; // what is in flight now ends with commit or abort
            slot = new WriteSlot(this, new SlotToken(word, index), _map.Bytes(_layout.Slot(index) + QueueLayout.Payload, maxBytes));
            return true;
        }
        finally
        {
            if (!reserved) _gate.Exit();
        }
    }

    public override bool TrySendAndLease(ReadOnlySpan<byte> message, out WorkLease lease)
    {
        CheckSize(message.Length);
        if (message.Length > _layout.SlotBytes) return _loans.TrySendAndLease(this, message, out lease);
        lease = default;
        _gate.Enter();
        bool kept = false;
        try
        {
            if (!_slots.TryClaim(out int slot, out long word)) return false;
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

    public override bool TryLease(out WorkLease lease)
    {
        lease = default;
        _gate.Enter();
        bool leased = false;
        try
        {
            if (!_moves.TryLease(out int slot, out long word)) return _segment.IsRetired ? throw _segment.Retired() : false;
            // Read once: it is shared, so it may hold anything, and may change after the check.
            int length = Volatile.Read(ref _map.Int(_layout.Slot(slot) + QueueLayout.Length));
            int kind = Volatile.Read(ref _map.Int(_layout.Slot(slot) + QueueLayout.Kind));
            if (kind == QueueLayout.KindLoan) lease = _loans.LeaseOf(this, slot, word);
            else if ((uint)length > (uint)_layout.SlotBytes || kind != QueueLayout.KindInline)
                _slots.ThrowBadSlot(slot, word, $"has length {length:N0} of {_layout.SlotBytes:N0} and kind {kind}");
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

    public override int CompleteBatch(ReadOnlySpan<WorkLease> leases)
    {
        int count = 0;
        foreach (ref readonly WorkLease lease in leases)
        {
            if (lease.TryGetToken(this, out SlotToken token) && End(token, Ending.Released)) count++;
        }

        return count;
    }

    bool IWriteSlotOwner.Commit(in SlotToken token, int bytes)
    {
        if (!_gate.TryEnterLate()) return false;
        int leaving = 1;
        try
        {
            // The word is exact: a slot that was committed or aborted through another copy of the struct has moved on.
            if (Volatile.Read(ref _moves.Word(token.Index)) != token.Word) return false;
            leaving = 2;
            if (_loans.TryCommit(token, bytes)) return true;
            _moves.Fill(token.Index, token.Word, bytes);
            _segment.Meter.Sent(bytes);
            return true;
        }
        finally
        {
            _gate.Exit(leaving);
        }
    }

    void IWriteSlotOwner.Abort(in SlotToken token)
    {
        if (!_gate.TryEnterLate()) return;
        BlockDescriptor block = _loans.TakeReserved(token);
        if (End(token, Ending.Released) && block.File != 0) _loans.Pool.ReturnBlock(block);
        _gate.Exit();
    }

    PayloadRetention IWorkLeaseOwner.Retain(in SlotToken token, ReadOnlyMemory<byte> payload) => _loans.Hold(token, payload);

    bool IWorkLeaseOwner.Complete(in SlotToken token) => End(token, Ending.Released);

    bool IWorkLeaseOwner.Abandon(in SlotToken token, bool countAttempt, TimeSpan delay)
    {
        CheckDelay(delay);
        int attempts = SlotWord.Attempts(token.Word) + (countAttempt ? 1 : 0);
        if (countAttempt && attempts >= _layout.MaxAttempts)
            return End(token, Ending.GivenUp, attempts, $"released {attempts} times, the queue's limit");
        return ReleaseSlot(token, attempts, delay);
    }

    bool IWorkLeaseOwner.Repeat(in SlotToken token, TimeSpan delay)
    {
        CheckDelay(delay);
        return ReleaseSlot(token, attempts: 0, delay);
    }

    private bool ReleaseSlot(in SlotToken token, int attempts, TimeSpan delay) => delay == TimeSpan.Zero
        ? End(token, Ending.Returned, attempts)
        : End(token, Ending.ReturnedLater, attempts, notBefore: DelayedSlots.DueAfter(delay));

    bool IWorkLeaseOwner.DeadLetter(in SlotToken token, string reason) =>
        End(token, Ending.GivenUp, SlotWord.Attempts(token.Word) + 1, reason);

    /// <summary>Ends what is in flight: a reserved slot or a lease. Allowed after a
    /// dispose, which waits for it.</summary>
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
            _gate.Exit(ended ? 2 : 1);
        }
    }

    private bool Move(in SlotToken token, Ending ending, int attempts, string reason, long notBefore) => ending switch
    {
        Ending.Released => _moves.TryRelease(token),
        Ending.Returned => _moves.TryReturn(token, attempts),
        Ending.ReturnedLater => _moves.TryReturnLater(token, attempts, notBefore),
        _ => _moves.TryGiveUp(token, attempts, reason),
    };

    private bool MoveDead(DeadLetterId id, Ending ending)
    {
        SlotToken token = id.ToToken();
        if ((uint)token.Index >= (uint)_layout.Slots || SlotWord.State(token.Word) != SlotState.Dead) return false;
        _gate.Enter();
        try
        {
            return Move(token, ending, attempts: 0, "", notBefore: 0);
        }
        finally
        {
            _gate.Exit();
        }
    }

    private WorkLease LeaseOf(int slot, long word, int length)
    {
        SlotMemoryManager memory =
            _memories[slot] ??= new SlotMemoryManager(_map, _layout.Slot(slot) + QueueLayout.Payload, _layout.SlotBytes);
        return new WorkLease(this, new SlotToken(word, slot), memory.Memory[..length], SlotWord.Attempts(word) + 1);
    }

    private void CheckSize(int bytes)
    {
        if ((uint)bytes > (uint)MaxMessageBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes), $"message of {bytes:N0} bytes exceeds the limit of "
                + $"{MaxMessageBytes:N0}; raise MaxLoanBytes, create the queue with larger SlotBytes, or send a reference");
    }

    private static void CheckDelay(TimeSpan delay)
    {
        if (delay < TimeSpan.Zero || delay > MaxDelay)
            throw new ArgumentOutOfRangeException(nameof(delay), $"delay must be 0 to {MaxDelay.TotalDays:N0} days: {delay}");
    }

    /// <summary>How a slot or lease ends.</summary>
    private enum Ending
    {
        Released,
        Returned,
        ReturnedLater,
        GivenUp,
    }
}
