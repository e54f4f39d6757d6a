using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// Finds slots by the ids and keys of their messages: a hash table of buckets, each a control word and fifteen cells.
//
//  control:  63 pending   62..20 version   19..0 slot        cell:  63 used   62..44 tag   43..24 slot   23..0 use
//
// A cell proves nothing: the slot that it names does, by its use and its labels. One whose slot has moved on is stale: harmless, and
// overwritten by whoever needs a cell. An id is put into any cell. A key is put in by one CAS of the bucket's control word, which names
// the slot as pending. It fails if another message was put in since the bucket was searched, so of two messages with one key one finds the
// other. Whoever meets a pending slot writes its cell and ends the pending, so a process that is stopped in between stops nobody.
// A bucket that is full sets a flag of the segment for good: from then on, what is not found here is searched for in all slots. A pending
// slot without a place is committed before the pending ends, so that this search finds it: offered slots it passes over.

internal sealed class SlotIndex(SegmentMapping map, QueueLayout layout, QueueTotals totals)
{
    public const int BucketBytes = 128;

    private const int Cells = BucketBytes / 8 - 1;
    private const long Used = 1L << 63, Pending = 1L << 63, UseMask = 0xFF_FFFF, OneVersion = 1L << 20;
    private const int SlotMask = 0xF_FFFF, TagMask = 0x7_FFFF;

    /// <summary>Commits a message that has its key and found no place. Set once, before the index is used.</summary>
    public Action<int, long>? CommitUnplaced { private get; set; }

    /// <summary>What an id is filed under.</summary>
    public static ulong HashOf(UInt128 id) => Mix((ulong)id ^ Mix((ulong)(id >> 64) + 0x9E37_79B9_7F4A_7C15));

    /// <summary>What a key is filed under: never what an id is, but by chance.</summary>
    public static ulong HashOf(ulong key) => Mix(key ^ 0xD6E8_FEB8_6659_FD93);

    /// <summary>Files a slot. Its use is stored, and its message is not committed yet.</summary>
    public void Add(ulong hash, int slot)
    {
        long bucket = BucketOf(hash);
        if (!TryPlace(bucket, MakeCell(hash, slot, UseOf(slot)))) totals.SetIndexOverflowed();
    }

    /// <summary>Files a slot under a key, unless <paramref name="isTaken"/> finds another
    /// message that has it.</summary>
    /// <returns>The slot of the other message; negative if there is none, and the key is this slot's.</returns>
    public int AddUnique(ulong hash, int slot, Func<int, bool> isTaken)
    {
        long bucket = BucketOf(hash);
        for (int tries = 0; tries < IndexQueue.MostTries; tries++)
        {
            // Acquire: pairs with the CAS below; what was put in before this control word is seen by the search.
            long control = Volatile.Read(ref map.Long(bucket));
            if ((control & Pending) != 0)
            {
                Finish(hash, bucket, control);
                continue;
            }

            int other = Find(hash, isTaken);
            if (other >= 0) return other;
            if (FaultPoints.On) FaultPoints.Reach("queue.key.searched");
            long pending = Pending | NextVersion(control) | (uint)slot;
            // Full fence: this takes the key. It fails where another message was put in since the search.
            if (!FaultPoints.Plants("queue.key.without-check")
                && Interlocked.CompareExchange(ref map.Long(bucket), pending, control) != control) continue;
            if (FaultPoints.On) FaultPoints.Reach("queue.key.pending");
            Finish(hash, bucket, pending);
            return -1;
        }

        throw new CorruptSegmentException($"bucket of the index at {bucket:N0} kept changing for {IndexQueue.MostTries:N0} tries");
    }

    /// <summary>Ends what is pending in a hash's bucket.</summary>
    public void Settle(ulong hash)
    {
        long bucket = BucketOf(hash), control = Volatile.Read(ref map.Long(bucket));
        if ((control & Pending) != 0) Finish(hash, bucket, control);
    }

    /// <summary>Finds the first slot that is filed under a hash and that <paramref name="matches"/> accepts.</summary>
    /// <returns>The slot; negative if there is none.</returns>
    public int Find(ulong hash, Func<int, bool> matches)
    {
        long bucket = BucketOf(hash);
        for (int i = 1; i <= Cells; i++)
        {
            long cell = Volatile.Read(ref map.Long(bucket + i * 8));
            int slot = SlotOf(cell);
            if (cell < 0 && TagOf(cell) == TagOf(MakeCell(hash, 0, 0)) && slot < layout.Slots
                && (UseOf(slot) & UseMask) == (cell & UseMask) && matches(slot)) return slot;
        }

        if (!totals.IndexOverflowed) return -1;
        for (int slot = 0, end = totals.UsedSlots; slot < end; slot++)
            if (SlotWord.State(Volatile.Read(ref map.Long(layout.Slot(slot)))) != SlotState.Offered && matches(slot)) return slot;
        return -1;
    }

    /// <summary>Whether a cell of a hash's bucket names a slot with its present use.</summary>
    public bool Names(ulong hash, int slot) => Holds(BucketOf(hash), MakeCell(hash, slot, UseOf(slot)));

    /// <summary>Takes out what names a message that has ended.</summary>
    public void Remove(ulong hash, int slot, long use)
    {
        long bucket = BucketOf(hash), gone = MakeCell(hash, slot, use);
        for (int i = 1; i <= Cells; i++)
        {
            ref long cell = ref map.Long(bucket + i * 8);
            // Exact: a cell that was overwritten names a living message.
            if (Volatile.Read(ref cell) == gone) Interlocked.CompareExchange(ref cell, 0, gone);
        }
    }

    // By the one who put the slot in, or by anyone who meets it. The slot's fields are its owner's until the pending has ended; where it
    // has ended meanwhile, what is written here is a stale cell.
    private void Finish(ulong hash, long bucket, long control)
    {
        int slot = (int)control & SlotMask;
        if (slot < layout.Slots)
        {
            ulong key = HashOf((ulong)Volatile.Read(ref map.Long(layout.Labels(slot) + QueueLayout.LabelKey)));
            // Another key of this bucket may be the pending one; a bucket holds all of them.
            long cell = MakeCell(BucketOf(key) == bucket ? key : hash, slot, UseOf(slot));
            long word = Volatile.Read(ref map.Long(layout.Slot(slot)));
            if (Volatile.Read(ref map.Long(bucket)) != control) return; // Then so was the word: while it is pending, its owner waits.
            if (!Holds(bucket, cell) && !TryPlace(bucket, cell))
            {
                totals.SetIndexOverflowed();
                CommitUnplaced!(slot, word);
            }

            if (FaultPoints.On) FaultPoints.Reach("queue.key.placed");
        }

        Interlocked.CompareExchange(ref map.Long(bucket), NextVersion(control), control);
    }

    private bool Holds(long bucket, long cell)
    {
        for (int i = 1; i <= Cells; i++)
            if (Volatile.Read(ref map.Long(bucket + i * 8)) == cell) return true;
        return false;
    }

    private bool TryPlace(long bucket, long cell)
    {
        for (int i = 1; i <= Cells; i++)
        {
            ref long place = ref map.Long(bucket + i * 8);
            if (Volatile.Read(ref place) == 0 && Interlocked.CompareExchange(ref place, cell, 0) == 0) return true;
        }

        for (int i = 1; i <= Cells; i++)
        {
            ref long place = ref map.Long(bucket + i * 8);
            long seen = Volatile.Read(ref place);
            if (IsStale(seen) && Interlocked.CompareExchange(ref place, cell, seen) == seen) return true;
        }

        return false;
    }

    private bool IsStale(long cell)
    {
        int slot = SlotOf(cell);
        return cell >= 0 || slot >= layout.Slots || (UseOf(slot) & UseMask) != (cell & UseMask)
            || SlotWord.State(Volatile.Read(ref map.Long(layout.Slot(slot)))) == SlotState.Released;
    }

    private long UseOf(int slot) => Volatile.Read(ref map.Long(layout.Slot(slot) + QueueLayout.Use));

    private long BucketOf(ulong hash) => layout.FirstBucket + (long)(hash & (ulong)(layout.Buckets - 1)) * BucketBytes;

    private static long MakeCell(ulong hash, int slot, long use) =>
        Used | (long)(hash >> 45 & TagMask) << 44 | (long)slot << 24 | (use & UseMask);

    private static long NextVersion(long control) => ((control & ~Pending & -OneVersion) + OneVersion) & ~Pending;

    private static int TagOf(long cell) => (int)(cell >> 44) & TagMask;

    private static int SlotOf(long cell) => (int)(cell >> 24) & SlotMask;

    private static ulong Mix(ulong value)
    {
        value = (value ^ value >> 33) * 0xFF51_AFD7_ED55_8CCD;
        value = (value ^ value >> 33) * 0xC4CE_B9FE_1A85_EC53;
        return value ^ value >> 33;
    }
}
