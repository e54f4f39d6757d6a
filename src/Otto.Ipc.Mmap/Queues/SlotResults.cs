using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// Results in the slots of their messages: keeping one ends the lease, and taking one frees the slot. A result is behind the labels where it
// fits, and in a block otherwise.

internal sealed class SlotResults(SlotTable slots, SlotLoans loans, SlotLabels labels, SlotFiling filing, QueueSnapshot view)
{
    private readonly SegmentMapping _map = slots.Map;
    private readonly QueueLayout _layout = slots.Layout;
    private readonly SlotTransitions _moves = slots.Moves;

    /// <summary>Ends a lease and keeps its result, where its sender asked for that. Within the gate.</summary>
    public bool TryKeep(in SlotToken token, ReadOnlySpan<byte> result)
    {
        if ((filing.TagsOf(token.Index) & SlotTags.KeepsResult) == 0 || FaultPoints.Plants("queue.result.forgotten"))
            return _moves.TryRelease(token);
        if (result.Length <= QueueLayout.NoteBytes) return _moves.TryKeepResult(token, result, block: null);
        if (result.Length > slots.MaxMessageBytes)
            throw new IOException(
                $"{slots.Segment.Path}: a result of {result.Length:N0} bytes exceeds the limit of {slots.MaxMessageBytes:N0}; "
                + "raise MaxLoanBytes");
        if (!loans.Pool.TryBorrow(result.Length, out BlockDescriptor block, out Memory<byte> memory))
            throw new IOException($"{slots.Segment.Path}: there is no free block for a result of {result.Length:N0} bytes; "
                + "results are collected too slowly");
        result.CopyTo(memory.Span);
        loans.Pool.TryBeginSend(block);
        bool kept = _moves.TryKeepResult(token, default, block);
        if (!kept) loans.Pool.End(block); // Sending, and no message names it.
        loans.Pool.EndSend(block);
        return kept;
    }

    /// <summary>Takes a result out. Within the gate.</summary>
    public MessageState TryTake(UInt128 id, out byte[] result)
    {
        result = [];
        for (int tries = 0; tries < IndexQueue.MostTries; tries++)
        {
            MessageState state = labels.Find(id, out int slot, out long word, out _);
            switch (state)
            {
                case MessageState.Done when !TryCopy(slot, out result):
                    // Another took it meanwhile, and the word has moved on; or its block is gone, and so is the result.
                    if (!_moves.TryRelease(new SlotToken(word, slot))) continue;
                    result = System.Text.Encoding.UTF8.GetBytes("its result is lost: the file of its block was deleted");
                    return MessageState.Dead;
                case MessageState.Done or MessageState.Cancelled:
                    // Exact: the copy is of this word, since a word never comes back; of several callers one moves it.
                    if (_moves.TryRelease(new SlotToken(word, slot))) return state;
                    continue;
                case MessageState.Dead:
                    if (!view.TryReadNote(slot, word, out string reason)) continue;
                    result = System.Text.Encoding.UTF8.GetBytes(reason);
                    return state;
                default:
                    return state;
            }
        }

        throw new CorruptSegmentException(
            $"{slots.Segment.Path}: the result of {id:X32} could not be read in {IndexQueue.MostTries:N0} tries");
    }

    private bool TryCopy(int slot, out byte[] result)
    {
        long at = _layout.Labels(slot);
        result = [];
        if (Volatile.Read(ref _map.Byte(at + QueueLayout.NoteKind)) == QueueLayout.KindLoan)
            return loans.Pool.TryCopy(BlockDescriptor.Read(_map, at + QueueLayout.Note), ref result);
        int length = Math.Clamp(Volatile.Read(ref _map.Int(at + QueueLayout.NoteLength)), 0, QueueLayout.NoteBytes);
        result = _map.Bytes(at + QueueLayout.Note, length).ToArray();
        return true;
    }
}
