using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// Messages that one worker passed over, for those that take their subjects. They lie in their slots (state Aside) and in no index queue.
// A word of the segment counts how often one was set aside. A handle looks at the slots once after each change of it, and keeps what it
// may take in a list of its own; a message that another handle takes first fails the exact CAS. So a worker that takes none of them pays
// one read of the word for each lease.

internal sealed class PassedOverSlots(SlotTable slots, long changesWord)
{
    private readonly Lock _gate = new();
    private readonly Queue<SlotToken> _found = new();
    private volatile HashSet<ulong> _subjects = [];
    private volatile int _count;
    private int _seen;

    public void SetSubjects(IReadOnlyCollection<ulong> subjects)
    {
        _subjects = [.. subjects];
        Volatile.Write(ref _seen, Changes - 1); // Looks again.
    }

    /// <summary>Announces that a message was set aside. Its word is stored before.</summary>
    public void Announce() => Interlocked.Increment(ref slots.Map.Int(changesWord));

    /// <summary>Whether a search of the slots may find something, or has.</summary>
    public bool MayHave => _count > 0 || (Volatile.Read(ref _seen) != Changes && _subjects.Count > 0);

    /// <summary>Leases the message that was passed over first, of those that are taken here.</summary>
    public bool TryLease(out int slot, out long word)
    {
        (slot, word) = (0, 0);
        if (!MayHave) return false;
        lock (_gate)
        {
            if (_found.Count == 0) Look();
            bool leased = false;
            while (!leased && _found.TryDequeue(out SlotToken token))
            {
                slot = token.Index;
                leased = slots.Moves.TryLeaseAside(token, out word);
            }

            _count = _found.Count;
            return leased;
        }
    }

    private int Changes => Volatile.Read(ref slots.Map.Int(changesWord));

    private void Look()
    {
        // Before the look: what is set aside meanwhile changes the word again.
        Volatile.Write(ref _seen, Changes);
        HashSet<ulong> subjects = _subjects;
        List<(long SentAt, SlotToken Token)> found = [];
        for (int slot = 0, end = slots.Moves.UsedSlots; slot < end; slot++)
        {
            // Acquire: pairs with the release that made the slot Aside; its subject is the one of this word.
            long word = Volatile.Read(ref slots.Moves.Word(slot));
            if (SlotWord.State(word) == SlotState.Aside
                && subjects.Contains((ulong)Volatile.Read(ref slots.Map.Long(slots.Layout.Labels(slot) + QueueLayout.Subject))))
                found.Add((Volatile.Read(ref slots.Map.Long(slots.Layout.Slot(slot) + QueueLayout.SentAt)), new SlotToken(word, slot)));
        }

        foreach ((_, SlotToken token) in found.OrderBy(static one => one.SentAt)) _found.Enqueue(token);
    }
}
