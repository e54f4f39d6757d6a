using System.Diagnostics;
using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// Finding a message by what it says. Nothing is moved or marked: each look is a copy that counts only if its slot's word stayed what it was.

internal sealed partial class SlotQueue
{
    private readonly Lock _turn = new();

    public override bool TryFind(WorkMatch match, out WorkId id, out bool held)
    {
        ArgumentNullException.ThrowIfNull(match);
        _gate.Enter();
        try
        {
            bool found = TrySearch(match, dead: false, out int slot, out long word, out long use);
            id = found ? WorkId.FromToken(new SlotToken(use, slot)) : default;
            held = found && SlotWord.State(word) is (SlotState.Leased or SlotState.Ending);
            return found;
        }
        finally
        {
            _gate.Exit();
        }
    }

    public override bool TryFindDead(WorkMatch match, out int attempts, out string reason)
    {
        ArgumentNullException.ThrowIfNull(match);
        _gate.Enter();
        try
        {
            reason = "";
            bool found = TrySearch(match, dead: true, out int slot, out long word, out _);
            attempts = SlotWord.Attempts(word);
            return found && _view.TryReadNote(slot, word, out reason);
        }
        finally
        {
            _gate.Exit();
        }
    }

    // Within the gate.
    private bool TrySearch(WorkMatch match, bool dead, out int slot, out long word, out long use)
    {
        Span<byte> copy = stackalloc byte[SearchedBytes];
        for (slot = 0; slot < _layout.Slots; slot++)
        {
            // Again where the slot moved on under the look: a message never moves to another slot, so it is found in this one or has ended.
            for (int look = 0; look < 64; look++)
            {
                word = Volatile.Read(ref _moves.Word(slot));
                SlotState state = SlotWord.State(word);
                if (dead ? state is not SlotState.Dead : state is not (SlotState.Filled or SlotState.Leased or SlotState.Delayed or SlotState.Ending)) break;
                ReadOnlySpan<byte> message = CopyStart(slot, copy);
                use = Volatile.Read(ref _map.Long(_layout.Slot(slot) + QueueLayout.Use));
                Interlocked.MemoryBarrier(); // Keeps the copy before the second look, and a moved word never comes back.
                if (Volatile.Read(ref _moves.Word(slot)) != word) continue;
                if (!match(message)) break;
                return true;
            }
        }

        word = use = 0;
        return false;
    }

    public override bool TryEnterExclusive(TimeSpan timeout, out IDisposable? exclusive)
    {
        exclusive = null;
        _gate.Enter();
        bool taken = false;
        try
        {
            long start = Stopwatch.GetTimestamp();
            if (!_turn.TryEnter(timeout)) return false;
            LivenessLock? byteLock = null;
            try
            {
                byteLock = LivenessLock.Reopen(_segment.File);
                SpinWait spin = default;
                while (!byteLock.TryWrite(LivenessLock.TurnByte))
                {
                    if (Stopwatch.GetElapsedTime(start) >= timeout) return false;
                    spin.SpinOnce();
                }

                exclusive = new Turn(this, byteLock);
                return taken = true; // What is in flight now ends with the exclusive.
            }
            finally
            {
                if (!taken)
                {
                    byteLock?.Dispose();
                    _turn.Exit();
                }
            }
        }
        finally
        {
            if (!taken) _gate.Exit();
        }
    }

    private ReadOnlySpan<byte> CopyStart(int slot, Span<byte> copy)
    {
        long at = _layout.Slot(slot);
        if (Volatile.Read(ref _map.Int(at + QueueLayout.Kind)) == QueueLayout.KindLoan)
        {
            byte[] block = ReadLoan(BlockDescriptor.Read(_map, at + QueueLayout.Payload));
            return block.AsSpan(0, Math.Min(block.Length, copy.Length));
        }

        int length = Math.Min(Math.Clamp(Volatile.Read(ref _map.Int(at + QueueLayout.Length)), 0, _layout.SlotBytes), copy.Length);
        _map.Bytes(at + QueueLayout.Payload, length).CopyTo(copy);
        return copy[..length];
    }

    private sealed class Turn(SlotQueue queue, LivenessLock byteLock) : IDisposable
    {
        private bool _ended;

        public void Dispose()
        {
            if (_ended) return;
            _ended = true;
            byteLock.Dispose();
            queue._turn.Exit();
            queue._gate.Exit();
        }
    }
}
