using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// The sending direction of a handle. Each call counts as in flight, and so does each reserved slot until it is committed or aborted.

internal sealed class SlotSender(SlotTable slots, SlotLoans loans) : IWriteSlotOwner
{
    private readonly UseCounter _gate = slots.Gate;
    private readonly SegmentFile _segment = slots.Segment;
    private readonly SegmentMapping _map = slots.Map;
    private readonly QueueLayout _layout = slots.Layout;
    private readonly SlotTransitions _moves = slots.Moves;

    public bool TrySend(ReadOnlySpan<byte> message)
    {
        slots.CheckSize(message.Length);
        if (message.Length > _layout.SlotBytes) return loans.TrySend(message, TimeSpan.Zero, out _);
        _gate.Enter();
        try
        {
            if (!_moves.TryClaim(out int slot, out long word)) return false;
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

    public bool TrySend(ReadOnlySpan<byte> message, TimeSpan delay, out WorkId id)
    {
        slots.CheckSize(message.Length);
        SlotTable.CheckDelay(delay);
        if (message.Length > _layout.SlotBytes) return loans.TrySend(message, delay, out id);
        id = default;
        _gate.Enter();
        try
        {
            if (!_moves.TryClaim(out int slot, out long word)) return false;
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

    public bool Cancel(WorkId id)
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

    public bool TryReserve(int maxBytes, out WriteSlot slot)
    {
        slots.CheckSize(maxBytes);
        if (maxBytes > _layout.SlotBytes) return loans.TryReserve(this, maxBytes, out slot);
        slot = default;
        _gate.Enter();
        bool reserved = false;
        try
        {
            if (!_moves.TryClaim(out int index, out long word)) return false;
            reserved = true; // what is in flight now ends with commit or abort
            slot = new WriteSlot(this, new SlotToken(word, index), _map.Bytes(_layout.Slot(index) + QueueLayout.Payload, maxBytes));
            return true;
        }
        finally
        {
            if (!reserved) _gate.Exit();
        }
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
            if (loans.TryCommit(token, bytes)) return true;
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
        BlockDescriptor block = loans.TakeReserved(token);
        bool released = _moves.TryRelease(token);
        if (released && block.File != 0) loans.Pool.ReturnBlock(block);
        _gate.Exit(released ? 2 : 1); // the call, and the reserved slot
    }
}
