using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// Messages with labels: sends them, and finds them by their ids. docs/layouts.md has the protocol by which one message at a time has a key.

internal sealed class SlotLabels(SlotTable slots, SlotLoans loans, SlotIndex index, SlotFiling filing, SlotSearch search, int me)
{
    private readonly SlotHistory _history = new(slots.Map, slots.Layout);
    private readonly SegmentMapping _map = slots.Map;
    private readonly QueueLayout _layout = slots.Layout;
    private readonly SlotTransitions _moves = slots.Moves;

    /// <summary>Writes a message and commits it, unless another has its key. Within the gate.</summary>
    /// <param name="message">The bytes.</param>
    /// <param name="labels">What it is known by.</param>
    /// <param name="target">What it becomes: Filled, Delayed or Leased.</param>
    /// <param name="notBefore">The time, where it is Delayed.</param>
    /// <param name="hasKey">Whether a message has the same key.</param>
    /// <param name="slot">Where it is.</param>
    /// <param name="word">Its word as it was committed as Leased.</param>
    public LabelledSendResult TrySend(ReadOnlySpan<byte> message, in MessageLabels labels, SlotState target, long notBefore,
        KeyMatch? hasKey,
        out int slot, out long word)
    {
        BlockDescriptor? block = null;
        if (message.Length > _layout.SlotBytes)
        {
            if (!loans.TryFillBlock(message, out BlockDescriptor filled, out slot, out word))
                return new LabelledSendResult(LabelledSendStatus.Full);
            filled.Write(_map, _layout.Slot(slot) + QueueLayout.Payload);
            loans.Pool.TryBeginSend(filled);
            block = filled;
        }
        else
        {
            if (!_moves.TryClaim(out slot, out word)) return new LabelledSendResult(LabelledSendStatus.Full);
            message.CopyTo(_map.Bytes(_layout.Slot(slot) + QueueLayout.Payload, message.Length));
        }

        SlotTags tags = Write(slot, labels, target, notBefore);
        int kind = block is null ? QueueLayout.KindInline : QueueLayout.KindLoan;
        LabelledSendResult result = new(LabelledSendStatus.Sent);
        if (labels.Key != 0)
        {
            try
            {
                result = CommitUnique(slot, ref word, message.Length, kind, notBefore, tags, labels, hasKey, target);
            }
            catch when (block is not null)
            {
                loans.Pool.EndSend(block.Value);
                throw;
            }
        }
        else if (target == SlotState.Filled) _moves.Fill(slot, word, message.Length, kind, tags);
        else if (target == SlotState.Delayed) _moves.Delay(slot, word, message.Length, notBefore, kind, tags);
        else word = _moves.Keep(slot, word, message.Length, kind, tags);
        if (block is { } sent) loans.Pool.EndSend(sent);
        if (result.Status == LabelledSendStatus.Sent) slots.Segment.Meter.Sent(message.Length);
        return result;
    }

    /// <summary>Finds a message by its id. Within the gate.</summary>
    public MessageState Find(UInt128 id, out int slot, out long word, out long use)
    {
        long seen = 0, usedBy = 0;
        for (int tries = 0; tries < IndexQueue.MostTries; tries++)
        {
            bool moved = false;
            slot = index.Find(SlotIndex.HashOf(id), candidate =>
            {
                // Acquire: pairs with the release that made the word; the labels are those of its message.
                seen = Volatile.Read(ref _moves.Word(candidate));
                if ((filing.TagsOf(candidate) & SlotTags.HasId) == 0 || filing.IdOf(candidate) != id) return false;
                usedBy = Volatile.Read(ref _map.Long(_layout.Slot(candidate) + QueueLayout.Use));
                Interlocked.MemoryBarrier(); // Keeps the look at the labels before the second look at the word.
                moved = Volatile.Read(ref _moves.Word(candidate)) != seen;
                return moved || StateOf(seen) != MessageState.Unknown;
            });
            (word, use) = (seen, usedBy);
            if (slot < 0) return MessageState.Unknown;
            if (!moved) return StateOf(seen);
        }

        throw new CorruptSegmentException($"{slots.Segment.Path}: message {id:X32} kept moving for {IndexQueue.MostTries:N0} tries");
    }

    /// <summary>Finds a message by its key. Within the gate.</summary>
    public bool TryFindKey(ulong key, KeyMatch hasKey, out WorkId id, out bool held)
    {
        long use = 0, word = 0;
        int slot = index.Find(SlotIndex.HashOf(key), candidate =>
        {
            // Before the match and after it the same, so that it is the use of the message that matched.
            use = Volatile.Read(ref _map.Long(_layout.Slot(candidate) + QueueLayout.Use));
            if (!HasKey(candidate, key, id: 0, hasKey, out _)) return false;
            word = Volatile.Read(ref _moves.Word(candidate));
            return Volatile.Read(ref _map.Long(_layout.Slot(candidate) + QueueLayout.Use)) == use;
        });
        id = slot < 0 ? default : WorkId.FromToken(new SlotToken(use, slot));
        held = slot >= 0 && StateOf(word) == MessageState.Held;
        return slot >= 0;
    }

    public static MessageState StateOf(long word) => SlotWord.State(word) switch
    {
        SlotState.Filled or SlotState.Delayed or SlotState.Aside or SlotState.Offered => MessageState.Waiting,
        SlotState.Leased or SlotState.Ending => MessageState.Held,
        SlotState.Kept => MessageState.Done,
        SlotState.Cancelled or SlotState.Withdrawn => MessageState.Cancelled,
        SlotState.Dead => MessageState.Dead,
        _ => MessageState.Unknown,
    };

    private LabelledSendResult CommitUnique(
        int slot, ref long word, int length, int kind, long notBefore, SlotTags tags, in MessageLabels labels, KeyMatch? hasKey,
        SlotState target)
    {
        long offered = _moves.Offer(slot, word, length, kind, notBefore, tags);
        int mine = slot;
        ulong key = labels.Key;
        UInt128 id = labels.Id, existing = 0;
        int other;
        try
        {
            other = index.AddUnique(SlotIndex.HashOf(key), slot,
                candidate => candidate != mine && HasKey(candidate, key, id, hasKey, out existing));
        }
        catch
        {
            // The match threw, or a block could not be read. Where the key was taken all the same, the message is sent.
            if (!index.Names(SlotIndex.HashOf(key), slot)) _moves.TryRelease(new SlotToken(offered, slot));
            throw;
        }

        if (other >= 0)
        {
            // Not in the index under its key, so nobody else moves it.
            _moves.TryRelease(new SlotToken(offered, slot));
            return new LabelledSendResult(LabelledSendStatus.KeyTaken, existing);
        }

        // False where another that meant to use the key has committed it: it is sent all the same.
        _moves.TryCommitOffered(slot, offered);
        if (target == SlotState.Leased) word = SlotWord.Move(offered, SlotState.Leased, me);
        return new LabelledSendResult(LabelledSendStatus.Sent);
    }

    // A message that its sender has offered, and not committed yet, is committed here: so it exists when another one is refused for it.
    private bool HasKey(int candidate, ulong key, UInt128 id, KeyMatch? hasKey, out UInt128 existing)
    {
        existing = 0;
        for (int tries = 0; tries < IndexQueue.MostTries; tries++)
        {
            long word = Volatile.Read(ref _moves.Word(candidate));
            if (StateOf(word) is not (MessageState.Waiting or MessageState.Held)
                || (filing.TagsOf(candidate) & SlotTags.HasKey) == 0 || filing.KeyOf(candidate) != key) return false;
            existing = filing.IdOf(candidate);
            bool same = (existing != id || id == 0) && Matches(candidate, hasKey);

            Interlocked.MemoryBarrier(); // Keeps the copy before the second look, and a moved word never comes back.
            if (Volatile.Read(ref _moves.Word(candidate)) != word) continue;
            if (!same) return false;
            if (SlotWord.State(word) != SlotState.Offered) return true;
            if (_moves.TryCommitOffered(candidate, word)) return true;
        }

        throw new CorruptSegmentException($"{slots.Segment.Path}: slot {candidate:N0} kept moving for {IndexQueue.MostTries:N0} tries");
    }

    private bool Matches(int slot, KeyMatch? hasKey)
    {
        if (hasKey is null) return true;
        Span<byte> copy = stackalloc byte[SearchableWorkQueue.SearchedBytes];
        return hasKey(search.CopyStart(slot, copy), _history.IsCancelRequested(slot, out _));
    }

    private SlotTags Write(int slot, in MessageLabels labels, SlotState target, long notBefore)
    {
        long at = _layout.Labels(slot);
        _map.Long(at + QueueLayout.LabelId) = (long)(ulong)labels.Id;
        _map.Long(at + QueueLayout.LabelId + 8) = (long)(ulong)(labels.Id >> 64);
        _map.Long(at + QueueLayout.LabelKey) = (long)labels.Key;
        int keep = (int)Math.Min(int.MaxValue, Math.Ceiling(labels.KeepResult.TotalSeconds));
        _map.Int(at + QueueLayout.Keep) = keep;
        _map.Int(at + QueueLayout.Intent) = me << 8 | (int)target;
        // For a message that is cancelled: whoever cancels it may not write into it.
        _map.Long(at + QueueLayout.Until) = Math.Max(notBefore, DelayedSlots.Now) + keep * 1000L;
        return (labels.Id != 0 ? SlotTags.HasId : 0) | (labels.Key != 0 ? SlotTags.HasKey : 0) | (keep > 0 ? SlotTags.KeepsResult : 0);
    }
}
