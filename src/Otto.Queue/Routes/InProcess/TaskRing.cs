using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Otto.Queue;

// The bounded queue within a process: many producers, many workers, no lock and no allocation a task.
// Not a Channel, because a stop must be able to shut it between any two enqueues and then take out every last task (a Channel loses items
// to a cancelled read: dotnet/runtime #132094).
//
//  cell:  | sequence | task, registration, number, time, metadata |
//           sequence in the turn that began at position p (a multiple of the number of cells):
//           p while the cell is empty, p + 1 once it is filled, p + cells once it is emptied
//           So cells begin as zeros: memory that no task has passed through is not touched.
//  tail:  bit 62 says sealed; a producer's compare-and-swap then fails whatever it had read.

internal sealed class TaskRing
{
    private const long SealedBit = 1L << 62;

    private readonly int _mask;
    private readonly bool _exact;
    private Cell[]? _cells;
    private Positions _positions;

    internal TaskRing(int capacity)
    {
        Capacity = capacity;
        // Two cells at least: with one, "filled in this turn" and "empty in the next" would be the same number.
        int cells = Math.Max(2, (int)BitOperations.RoundUpToPowerOf2((uint)capacity));
        _mask = cells - 1;
        _exact = cells == capacity;
    }

    internal int Capacity { get; }

    /// <summary>How many tasks wait; exact only while the queue is idle.</summary>
    internal int Count
    {
        get
        {
            long head = Volatile.Read(ref _positions.Head);
            return (int)Math.Clamp((Volatile.Read(ref _positions.Tail) & ~SealedBit) - head, 0, Capacity);
        }
    }

    /// <summary>How many tasks were ever put in.</summary>
    internal long Added => Volatile.Read(ref _positions.Tail) & ~SealedBit;

    /// <summary>Puts a task in.</summary>
    /// <returns><see langword="false"/> if the ring is full or sealed.</returns>
    internal bool TryEnqueue(in QueuedTask task)
    {
        Cell[] cells = _cells ?? Allocate();
        while (true)
        {
            long tail = Volatile.Read(ref _positions.Tail);
            if ((tail & SealedBit) != 0) return false;
            ref Cell cell = ref cells[(int)tail & _mask];
            // Acquire: pairs with the release in TryDequeue; without it we could fill a cell that is still being read.
            long sequence = Volatile.Read(ref cell.Sequence), turn = tail & ~(long)_mask;
            if (sequence == turn)
            {
                if (!_exact && tail - Volatile.Read(ref _positions.Head) >= Capacity) return false;
                if (Interlocked.CompareExchange(ref _positions.Tail, tail + 1, tail) != tail) continue;
                cell.Task = task;
                // Release: pairs with the acquire in TryDequeue; the task must be visible before the cell says filled.
                Volatile.Write(ref cell.Sequence, turn + 1);
                return true;
            }

            if (sequence < turn) return false;
        }
    }

    /// <summary>Takes the next task out.</summary>
    /// <returns><see langword="false"/> if there is none, or its producer is still putting it in.</returns>
    internal bool TryDequeue(out QueuedTask task)
    {
        Cell[]? cells = _cells;
        while (cells is not null)
        {
            long head = Volatile.Read(ref _positions.Head);
            ref Cell cell = ref cells[(int)head & _mask];
            // Acquire: pairs with the release in TryEnqueue.
            long sequence = Volatile.Read(ref cell.Sequence), turn = head & ~(long)_mask;
            if (sequence == turn + 1)
            {
                if (Interlocked.CompareExchange(ref _positions.Head, head + 1, head) != head) continue;
                task = cell.Task;
                cell.Task = default; // Else the ring would keep the task alive for a whole turn.
                // Release: pairs with the acquire in TryEnqueue; the cell must be read and cleared before it is free.
                Volatile.Write(ref cell.Sequence, turn + cells.Length);
                return true;
            }

            if (sequence <= turn) break;
        }

        Unsafe.SkipInit(out task);
        return false;
    }

    /// <summary>Whether a task can be taken out now.</summary>
    internal bool HasReady
    {
        get
        {
            if (_cells is not { } cells) return false;
            long head = Volatile.Read(ref _positions.Head);
            return Volatile.Read(ref cells[(int)head & _mask].Sequence) > (head & ~(long)_mask);
        }
    }

    /// <summary>Whether a task is in the ring: a check of each cell, for callers that are in no hurry.</summary>
    /// <param name="number">The low half of its id.</param>
    internal bool Holds(ulong number) => Holds(number, out _);

    /// <inheritdoc cref="Holds(ulong)"/>
    /// <param name="number">The low half of its id.</param>
    /// <param name="metadata">What it carries.</param>
    internal bool Holds(ulong number, out TaskMetadata? metadata)
    {
        metadata = null;
        if (_cells is not { } cells) return false;
        long head = Volatile.Read(ref _positions.Head), tail = Volatile.Read(ref _positions.Tail) & ~SealedBit;
        for (long at = head; at < tail; at++)
        {
            ref Cell cell = ref cells[(int)at & _mask];
            long sequence = Volatile.Read(ref cell.Sequence);
            if (sequence != (at & ~(long)_mask) + 1 || Volatile.Read(ref cell.Task.Number) != number) continue;
            metadata = cell.Task.Metadata;
            // Keeps the look at the number before the second look at the sequence: else it could be the next turn's.
            Interlocked.MemoryBarrier();
            if (Volatile.Read(ref cell.Sequence) == sequence && Volatile.Read(ref _positions.Head) <= at) return true;
        }

        return false;
    }

    /// <summary>Refuses every further task. What was put in stays in.</summary>
    internal void Seal() => Interlocked.Or(ref _positions.Tail, SealedBit);

    /// <summary>Takes a task out of a sealed ring, waiting for producers that are in the middle of putting theirs
    /// in.</summary>
    /// <returns><see langword="true"/> if a task was taken; <see langword="false"/> if the ring is permanently
    /// empty.</returns>
    internal bool TryDequeueSealed(out QueuedTask task)
    {
        SpinWait spin = default;
        while (!TryDequeue(out task))
        {
            if (Volatile.Read(ref _positions.Head) >= (Volatile.Read(ref _positions.Tail) & ~SealedBit)) return false;
            spin.SpinOnce();
        }

        return true;
    }

    // With the first task: a queue whose tasks all come from elsewhere never needs them.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private Cell[] Allocate()
    {
        var cells = new Cell[_mask + 1];
        return Interlocked.CompareExchange(ref _cells, cells, null) ?? cells;
    }

    private struct Cell
    {
        internal long Sequence;
        internal QueuedTask Task;
    }

    // Producers and workers each write their own pair of cache lines.
    [StructLayout(LayoutKind.Explicit, Size = 384)]
    private struct Positions
    {
        [FieldOffset(128)]
        internal long Tail;

        [FieldOffset(256)]
        internal long Head;
    }
}

/// <summary>A task on its way within this process: a struct of four words and a half, copied into the ring, so that
/// handing over allocates nothing.</summary>
internal struct QueuedTask
{
    /// <summary>The very object that the producer holds.</summary>
    internal object Task;

    internal TaskRegistration Registration;

    /// <summary>The low half of the id; the high half is the queue's.</summary>
    internal ulong Number;

    /// <summary>When, by the queue's clock; exact to some milliseconds unless waits are measured.</summary>
    internal long EnqueuedMicroseconds;

    /// <summary>What only some tasks carry; <see langword="null"/> on the fast path.</summary>
    internal TaskMetadata? Metadata;

    /// <summary>The same as an object, to be kept longer.</summary>
    internal readonly DelayedTask Describe(TaskIdSource ids) => new()
    {
        Registration = Registration, Id = ids.At(Number), Task = Task, EnqueuedMicroseconds = EnqueuedMicroseconds, Metadata = Metadata,
        Held = Metadata?.Held,
    };
}
