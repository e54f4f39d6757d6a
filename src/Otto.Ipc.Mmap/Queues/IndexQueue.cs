using System.Runtime.CompilerServices;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// A lock-free queue of slot numbers in shared memory. The cell is written first, by one CAS; head and tail only say where to look, and
// anyone may help them along, so a process can stop or die between any two instructions without stopping another.
//
//  cell:  63               32 31       20 19          0
//         +------------------+-----------+-------------+
//         | cycle            | lap       | slot        |
//         +------------------+-----------+-------------+
//         cycle is ticket / cells, so each cell changes once a cycle, and a CAS prepared for an earlier cycle fails
//
//  push:  t = tail; where the cell of t has t's cycle already, help tail along and look again; else CAS the cell: that is the push
//  take:  h = head; where the cell of h has h's cycle, the caller tries to move the slot (that is the take); then head steps on
//
//  head passes a cell only once its slot has moved on, and a slot that moved on never fits that cell again (see SlotWord.lap).

internal static class IndexCell
{
    public const int LapMask = 0xFFF;

    /// <summary>A cell that was never written: of the cycle before the first.</summary>
    public const long Never = -1L << 32;

    public static long Make(int cycle, long lap, int slot) => (long)cycle << 32 | (lap & LapMask) << 20 | (uint)slot;

    public static int Cycle(long cell) => (int)(cell >> 32);

    public static int Lap(long cell) => (int)(cell >> 20) & LapMask;

    public static int Slot(long cell) => (int)cell & 0xF_FFFF;
}

internal sealed class IndexQueue
{
    private readonly SegmentMapping _map;
    private readonly long _headWord;
    private readonly long _tailWord;
    private readonly long _firstCell;
    private readonly int _log2;
    private readonly string _path;
    private long _headSeen;
    private bool _damaged;

    public IndexQueue(SegmentMapping map, long headWord, long tailWord, long firstCell, int cells, string path)
    {
        _map = map;
        _headWord = headWord;
        _tailWord = tailWord;
        _firstCell = firstCell;
        _log2 = System.Numerics.BitOperations.Log2((uint)cells);
        _path = path;
    }

    /// <summary>How often a loop may fail to make progress before the bytes are reported as corrupt. Each failure
    /// means that another thread or process made progress.</summary>
    public const int MostTries = 1 << 20;

    private int Cells => 1 << _log2;

    /// <summary>Whether there is no cell to read. A cell that is found may belong to a slot that has moved
    /// on.</summary>
    public bool IsEmpty => !TryPeek(out _, out _);

    /// <summary>Whether <see cref="LooksDamaged"/> found head and tail to be impossible.</summary>
    public bool IsDamaged => Volatile.Read(ref _damaged);

    /// <summary>About how many entries there are: from two words that others move meanwhile.</summary>
    public long AboutCount => Volatile.Read(ref _map.Long(_tailWord)) - Volatile.Read(ref _map.Long(_headWord));

    /// <summary>
    /// How many slots may ever have been taken. Of the free slots, which are taken in their order the first time, and
    /// only from where head is.
    /// </summary>
    public int EverTaken(int slots)
    {
        long head = Volatile.Read(ref _map.Long(_headWord));
        return (ulong)head < (ulong)slots ? (int)head + 1 : slots;
    }

    /// <summary>How many entries there are, exact while nothing moves.</summary>
    /// <param name="isLive">Whether an entry's cell still speaks for its slot.</param>
    public long Count(Func<long, bool> isLive)
    {
        for (int i = 0; i < Cells; i++)
        {
            // Both ends are helped along, past what a stopped or dead process left undone.
            long tail = Volatile.Read(ref _map.Long(_tailWord));
            if (IndexCell.Cycle(Volatile.Read(ref Cell(tail))) == CycleOf(tail))
                Interlocked.CompareExchange(ref _map.Long(_tailWord), tail + 1, tail);
            else if (TryPeek(out long head, out long cell) && !isLive(cell)) Advance(head);
            else break;
        }

        return AboutCount;
    }

    /// <summary>Appends a slot. The caller's word owes it, so there is always room.</summary>
    public void Push(int slot, long lap)
    {
        for (int i = 0; i < MostTries; i++)
        {
            // Acquire: pairs with the CAS of whoever helped the tail along.
            long tail = Volatile.Read(ref _map.Long(_tailWord));
            ref long place = ref Cell(tail);
            long seen = Volatile.Read(ref place);
            int behind = CycleOf(tail) - IndexCell.Cycle(seen);
            if (behind == 0)
            {
                // Pushed by somebody who has not helped the tail along yet, or never will.
                Interlocked.CompareExchange(ref _map.Long(_tailWord), tail + 1, tail);
                continue;
            }

            if (behind != 1 || !IsTaken(tail)) continue;
            // Full fence: the push. Pairs with the acquire in TryPeek; the slot's word and bytes are visible before its cell. It is
            // also the fence between publishing and looking at the doorbell.
            if (Interlocked.CompareExchange(ref place, IndexCell.Make(CycleOf(tail), lap, slot), seen) != seen) continue;
            if (FaultPoints.On) FaultPoints.Reach("queue.push.cell");
            Interlocked.CompareExchange(ref _map.Long(_tailWord), tail + 1, tail);
            return;
        }

        throw NoProgress("append");
    }

    /// <summary>Whether the entry that the cell of <paramref name="tail"/> held a cycle ago
    /// was taken: whether head is past it.</summary>
    private bool IsTaken(long tail)
    {
        // Head only grows, so what was seen of it before errs towards looking again: its line stays with those who take.
        if (tail - _headSeen < Cells) return true;
        // Any thread may store here; whichever value stays was true once.
        _headSeen = Volatile.Read(ref _map.Long(_headWord));
        return tail - _headSeen < Cells;
    }

    /// <summary>Reads the head's cell.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryPeek(out long head, out long cell)
    {
        head = 0;
        cell = 0;
        for (int i = 0; i < MostTries; i++)
        {
            head = Volatile.Read(ref _map.Long(_headWord));
            // Acquire: pairs with the CAS in Push.
            cell = Volatile.Read(ref Cell(head));
            if (IndexCell.Cycle(cell) == CycleOf(head)) return true;
            // An older cell means empty, unless head has moved on since it was read.
            if (Volatile.Read(ref _map.Long(_headWord)) == head) return false;
        }

        return false;
    }

    /// <summary>
    /// Checks, once a take has found nothing, whether that can be: head and tail that do not fit each other look like
    /// an empty queue permanently.
    /// </summary>
    /// <exception cref="CorruptSegmentException">They do not fit each other.</exception>
    public void CheckEmpty()
    {
        if (IsDamaged || LooksDamaged())
            throw new CorruptSegmentException($"{_path}: head {Volatile.Read(ref _map.Long(_headWord)):N0} and tail "
                + $"{Volatile.Read(ref _map.Long(_tailWord)):N0} of an index of {Cells:N0} cells do not fit each other");
    }

    /// <summary>Whether head and tail, which others move meanwhile, cannot be those of an index queue.</summary>
    public bool LooksDamaged()
    {
        // In this order: both only grow, so a tail that is read later is never too far behind, and one read earlier never too far ahead.
        // One cell may be ahead of tail: whoever pushed it has not helped the tail along yet.
        long before = Volatile.Read(ref _map.Long(_tailWord));
        long head = Volatile.Read(ref _map.Long(_headWord));
        long cell = Volatile.Read(ref Cell(head));
        bool damaged = before - head > Cells || head - Volatile.Read(ref _map.Long(_tailWord)) > 1
            // An entry that tail has passed was written; a cell of a later cycle was passed by head.
            || ((before > head ? IndexCell.Cycle(cell) != CycleOf(head) : IndexCell.Cycle(cell) - CycleOf(head) > 0)
                && Volatile.Read(ref _map.Long(_headWord)) == head);
        if (damaged) Volatile.Write(ref _damaged, true);
        return damaged;
    }

    /// <summary>Steps over the cell at <paramref name="head"/>, whose slot has moved on.
    /// Anyone may, any number of times.</summary>
    public void Advance(long head) => Interlocked.CompareExchange(ref _map.Long(_headWord), head + 1, head);

    /// <summary>Notes every entry that has not been taken: the low bits of its lap, by
    /// slot; -1 for slots without.</summary>
    public int[] Snapshot(int slots)
    {
        int[] laps = new int[slots];
        Array.Fill(laps, -1);
        long head = Volatile.Read(ref _map.Long(_headWord));
        for (int i = 0; i < Cells; i++)
        {
            long cell = Volatile.Read(ref _map.Long(_firstCell + i * 8L));
            int slot = IndexCell.Slot(cell);
            // A live entry's position is at or behind head; what lies before it was taken, and its slot has moved on.
            int headCycle = CycleOf(head) + (i < (head & (Cells - 1)) ? 1 : 0);
            if (IndexCell.Cycle(cell) - headCycle >= 0 && slot < slots) laps[slot] = IndexCell.Lap(cell);
        }

        return laps;
    }

    public CorruptSegmentException NoProgress(string what) =>
        new($"{_path}: could not {what} in {MostTries:N0} tries: head {Volatile.Read(ref _map.Long(_headWord)):N0}, tail "
        + $"{Volatile.Read(ref _map.Long(_tailWord)):N0}, {Cells:N0} cells");

    private int CycleOf(long ticket) => (int)(ticket >> _log2);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref long Cell(long ticket) => ref _map.Long(_firstCell + ((ticket & ((1L << _log2) - 1)) << 3));
}
