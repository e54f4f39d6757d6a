using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// What stays in the queue after its message has ended: results until they are collected, and dead letters until they are requeued or
// deleted. Nobody may come for them, so each has a time, and each kind a share of the slots; the oldest goes.

internal sealed class KeptSlots(
    SegmentMapping map, QueueLayout layout, long untilWord, QueueTotals totals, MmapQueueOptions options, Func<int, bool> isSenderAlive)
{
    /// <summary>No slot is kept: the greatest time.</summary>
    public const long Never = long.MaxValue;

    /// <summary>How long a result is safe from those that need its room while its sender
    /// lives, though it takes more than its share.</summary>
    private const long SafeMilliseconds = 60_000;

    private const long AgainMilliseconds = 10_000;

    private long _nextReclaim;

    /// <summary>The number of dead letters at which the oldest goes.</summary>
    public int MostDead { get; } = options.MaxDeadLetters is { } most ? Math.Min(most, layout.Slots) : Math.Max(1, layout.Slots / 2);

    /// <summary>When a dead letter that is made now is deleted.</summary>
    public long DeadUntil => After((long)options.DeadLetterRetention.TotalMilliseconds);

    /// <summary>When a result that is kept in a slot now is dropped.</summary>
    public long ResultUntil(int slot) => After(KeepMilliseconds(slot));

    private static long After(long milliseconds) => Math.Min(DelayedSlots.Now, Never - milliseconds - 1) + milliseconds;

    /// <summary>Makes sure that the slots are checked when <paramref name="time"/> has come.</summary>
    public void Lower(long time)
    {
        ref long word = ref map.Long(untilWord);
        for (long seen = Volatile.Read(ref word); time < seen;)
        {
            long found = Interlocked.CompareExchange(ref word, time, seen);
            if (found == seen) return;
            seen = found;
        }
    }

    /// <summary>Drops what is over its time.</summary>
    /// <param name="drop">Releases a slot whose word is still the given one.</param>
    public void DropExpired(Func<SlotToken, bool> drop)
    {
        ref long word = ref map.Long(untilWord);
        long now = DelayedSlots.Now;
        if (Volatile.Read(ref word) > now) return;
        // Before the look: a slot that is kept meanwhile lowers the word again. Not never: a process that ends in here must not be the last
        // one to look.
        Interlocked.Exchange(ref word, now + AgainMilliseconds);
        if (FaultPoints.On) FaultPoints.Reach("queue.kept.looking");
        long next = Never;
        foreach (Candidate kept in Find(static state => state is SlotState.Kept or SlotState.Withdrawn or SlotState.Dead))
        {
            if (kept.Until > now) next = Math.Min(next, kept.Until);
            else Drop(kept, drop);
        }

        if (next < now + AgainMilliseconds) Lower(next);
        else Interlocked.CompareExchange(ref word, next, now + AgainMilliseconds);
    }

    /// <summary>Keeps the dead letters within their share: drops the oldest where there are too many.</summary>
    public void DropOldestDead(Func<SlotToken, bool> drop)
    {
        if (totals.Dead <= MostDead) return;
        // Some more than needed, so that not each dead letter costs a look at all slots.
        List<Candidate> dead = Find(static state => state is SlotState.Dead);
        int excess = dead.Count - MostDead;
        if (excess <= 0 || FaultPoints.Plants("queue.kept.never-drops")) return; // The total is wrong, and counted again.
        dead.Sort();
        foreach (Candidate oldest in dead.Take(Math.Min(excess + MostDead / 8, dead.Count - 1))) Drop(oldest, drop);
    }

    /// <summary>Makes room in a full queue: drops results that are over their time, or whose sender is dead;
    /// then, beyond their share, the oldest that had time enough.</summary>
    /// <returns><see langword="true"/> if there is room now; otherwise, <see langword="false"/>.</returns>
    public bool TryMakeRoom(Func<SlotToken, bool> drop)
    {
        long now = DelayedSlots.Now;
        if (totals.Kept == 0 || now < Volatile.Read(ref _nextReclaim)) return false;
        List<Candidate> results = Find(static state => state is SlotState.Kept or SlotState.Withdrawn);
        results.Sort();
        int most = Math.Max(1, layout.Slots / 8), dropped = 0, beyond = results.Count - layout.Slots / 2;
        Dictionary<int, bool> alive = [];
        foreach (Candidate result in results.Where(result => result.Until <= now || !IsWanted(result)))
            if (dropped < most && Drop(result, drop)) dropped++;
        foreach (Candidate result in results.Where(result => result.Until - KeepMilliseconds(result.Token.Index) + SafeMilliseconds < now))
            if (dropped < Math.Min(most, beyond) && Drop(result, drop)) dropped++;

        // A look costs some nanoseconds for each slot, and a full queue is asked often.
        if (dropped == 0) Volatile.Write(ref _nextReclaim, now + 10 + layout.Slots / 10_000);
        return dropped > 0;

        bool IsWanted(Candidate result)
        {
            int sender = map.Int(layout.Labels(result.Token.Index) + QueueLayout.Intent) >> 8;
            if (!alive.TryGetValue(sender, out bool lives)) alive[sender] = lives = isSenderAlive(sender);
            return lives;
        }
    }

    private bool Drop(in Candidate kept, Func<SlotToken, bool> drop)
    {
        if (!drop(kept.Token)) return false;
        if (FaultPoints.On) FaultPoints.Reach("queue.kept.dropped");
        totals.CountDropped(SlotWord.State(kept.Token.Word), 1);
        return true;
    }

    private List<Candidate> Find(Func<SlotState, bool> isWanted)
    {
        List<Candidate> found = [];
        for (int slot = 0, end = totals.UsedSlots; slot < end; slot++)
        {
            // Acquire: pairs with the release that made the slot Kept or Dead; its time is the one of this word.
            long word = Volatile.Read(ref map.Long(layout.Slot(slot)));
            if (isWanted(SlotWord.State(word)))
                found.Add(new Candidate(new SlotToken(word, slot), Volatile.Read(ref map.Long(layout.Labels(slot) + QueueLayout.Until)),
                    Volatile.Read(ref map.Long(layout.Labels(slot) + QueueLayout.Subject))));
        }

        return found;
    }

    private long KeepMilliseconds(int slot) =>
        Math.Max(0, Volatile.Read(ref map.Int(layout.Labels(slot) + QueueLayout.Keep))) * 1000L;

    private readonly record struct Candidate(SlotToken Token, long Until, long Order) : IComparable<Candidate>
    {
        public int CompareTo(Candidate other) => Until != other.Until ? Until.CompareTo(other.Until) : Order.CompareTo(other.Order);
    }
}
