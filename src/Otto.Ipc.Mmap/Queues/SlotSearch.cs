using System.Diagnostics;
using Otto.Ipc.Endpoints;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Queues;

// Finding a message by what it says. Nothing is moved or marked: each look is a copy that counts only if its slot's word stayed what it
// was.

internal sealed class SlotSearch(SlotTable slots, SlotLoans loans, QueueSnapshot view)
{
    private readonly Lock _turn = new();
    private readonly SegmentMapping _map = slots.Map;
    private readonly QueueLayout _layout = slots.Layout;

    public bool TryFind(WorkMatch match, out WorkId id, out bool held)
    {
        ArgumentNullException.ThrowIfNull(match);
        slots.Gate.Enter();
        try
        {
            bool found = TrySearch(match, dead: false, out int slot, out long word, out long use);
            id = found ? WorkId.FromToken(new SlotToken(use, slot)) : default;
            held = found && SlotWord.State(word) is (SlotState.Leased or SlotState.Ending);
            return found;
        }
        finally
        {
            slots.Gate.Exit();
        }
    }

    public bool TryFindDead(WorkMatch match, out int attempts, out string reason)
    {
        ArgumentNullException.ThrowIfNull(match);
        slots.Gate.Enter();
        try
        {
            reason = "";
            bool found = TrySearch(match, dead: true, out int slot, out long word, out _);
            attempts = SlotWord.Attempts(word);
            return found && view.TryReadNote(slot, word, out reason);
        }
        finally
        {
            slots.Gate.Exit();
        }
    }

    public void VisitPassedOver(WorkMatch visit)
    {
        ArgumentNullException.ThrowIfNull(visit);
        slots.Gate.Enter();
        try
        {
            Span<byte> copy = stackalloc byte[SearchableWorkQueue.SearchedBytes];
            for (int slot = 0, end = slots.Moves.UsedSlots; slot < end; slot++)
            {
                long word = Volatile.Read(ref slots.Moves.Word(slot));
                if (SlotWord.State(word) is not SlotState.Aside) continue;
                ReadOnlySpan<byte> message = CopyStart(slot, copy);
                Interlocked.MemoryBarrier(); // Keeps the copy before the second look, and a moved word never comes back.
                if (Volatile.Read(ref slots.Moves.Word(slot)) == word && visit(message)) return;
            }
        }
        finally
        {
            slots.Gate.Exit();
        }
    }

    // Within the gate.
    private bool TrySearch(WorkMatch match, bool dead, out int slot, out long word, out long use)
    {
        Span<byte> copy = stackalloc byte[SearchableWorkQueue.SearchedBytes];
        int end = slots.Moves.UsedSlots;
        for (slot = 0; slot < end; slot++)
        {
            // Again where the slot moved on under the look: a message never moves to another slot, so it is found in this one or has ended.
            for (int look = 0; look < 64; look++)
            {
                word = Volatile.Read(ref slots.Moves.Word(slot));
                SlotState state = SlotWord.State(word);
                if (dead ? state is not SlotState.Dead
                    : state is not (SlotState.Filled or SlotState.Leased or SlotState.Delayed or SlotState.Ending
                        or SlotState.Aside)) break;
                ReadOnlySpan<byte> message = CopyStart(slot, copy);
                use = Volatile.Read(ref _map.Long(_layout.Slot(slot) + QueueLayout.Use));
                Interlocked.MemoryBarrier(); // Keeps the copy before the second look, and a moved word never comes back.
                if (Volatile.Read(ref slots.Moves.Word(slot)) != word) continue;
                if (!match(message)) break;
                return true;
            }
        }

        word = use = 0;
        return false;
    }

    public bool TryEnterExclusive(TimeSpan timeout, out IDisposable? turn)
    {
        turn = null;
        slots.Gate.Enter();
        bool taken = false;
        try
        {
            long start = Stopwatch.GetTimestamp();
            if (!_turn.TryEnter(timeout)) return false;
            ParticipantLocks? held = null;
            try
            {
                held = slots.Segment.OpenLocks();
                SpinWait spin = default;
                while (!held.TryHoldTurn())
                {
                    if (Stopwatch.GetElapsedTime(start) >= timeout) return false;
                    spin.SpinOnce();
                }

                turn = new Turn(slots.Gate, _turn, held);
                return taken = true; // What is in flight now ends with the turn.
            }
            finally
            {
                if (!taken)
                {
                    held?.Dispose();
                    _turn.Exit();
                }
            }
        }
        finally
        {
            if (!taken) slots.Gate.Exit();
        }
    }

    /// <summary>Copies what a search sees of a message. The caller checks its word afterwards.</summary>
    public ReadOnlySpan<byte> CopyStart(int slot, Span<byte> copy)
    {
        long at = _layout.Slot(slot);
        if (Volatile.Read(ref _map.Byte(at + QueueLayout.Kind)) == QueueLayout.KindLoan)
        {
            return copy[..loans.CopyStart(BlockDescriptor.Read(_map, at + QueueLayout.Payload), copy)];
        }

        int length = Math.Min(Math.Clamp(Volatile.Read(ref _map.Int(at + QueueLayout.Length)), 0, _layout.SlotBytes), copy.Length);
        _map.Bytes(at + QueueLayout.Payload, length).CopyTo(copy);
        return copy[..length];
    }

    private sealed class Turn(UseCounter gate, Lock turn, ParticipantLocks held) : IDisposable
    {
        private bool _ended;

        public void Dispose()
        {
            if (_ended) return;
            _ended = true;
            held.Dispose();
            turn.Exit();
            gate.Exit();
        }
    }
}
