using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

// A stream's blocks, as one of its ends uses them. The pool is opened when it is first needed.

internal sealed class LaneLoans(SegmentFile segment, int maxBytes, bool writable) : IBlockReferences
{
    /// <summary>Blocks for each lane: what a receiver that is behind leaves lent at most.</summary>
    private const int BlocksALane = 64;

    private readonly Lock _opening = new();
    private LoanPool? _pool;

    public LoanPool Pool
    {
        get
        {
            if (Volatile.Read(ref _pool) is { } open) return open;
            lock (_opening)
            {
                if (_pool is null) Volatile.Write(ref _pool, LoanPool.Open(segment, segment.Plan.ParameterA * BlocksALane, this, writable));
                return _pool;
            }
        }
    }

    public void CheckSize(int bytes)
    {
        if (bytes < 1 || bytes > maxBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes), $"a loan of {bytes:N0} bytes is not within 1 to {maxBytes:N0}; raise MaxLoanBytes");
    }

    public void Look(bool swept)
    {
        if (_pool is null && !(swept && LoanPool.Exists(segment))) return;
        Pool.Look();
        if (swept) Pool.Collect();
    }

    public void Close() => _pool?.Close();

    public bool AddReferences(HashSet<(int Block, long Generation)> references)
    {
        SegmentMapping map = segment.Mapping;
        for (int lane = 0; lane < segment.Plan.ParameterA; lane++)
        {
            LaneOffsets at = RingLayout.Lane(segment.Plan, lane);
            long tail = Volatile.Read(ref map.Long(at.Tail)), position = Volatile.Read(ref map.Long(at.Head));
            // Each step is at least a frame's header, so there are no more of them than fit into the ring.
            for (long steps = at.Capacity / RingLayout.FrameHeader; steps > 0 && position >= 0 && (position & 7) == 0 && position < tail; steps--)
            {
                long offset = position & (at.Capacity - 1), header = map.Long(at.Data + offset), bytes = RingLayout.FrameBytes((int)header);
                bool fits = (int)header >= 0 && bytes <= at.Capacity - offset;
                bool isLoan = fits && (int)(header >> 32) == RingLayout.TypeLoan && (int)header == BlockDescriptor.Bytes;
                BlockDescriptor named = isLoan ? BlockDescriptor.Read(map, at.Data + offset + RingLayout.FrameHeader) : default;
                Volatile.ReadBarrier();
                // Read on meanwhile: what lies before the head may be another frame's bytes by now.
                long head = Volatile.Read(ref map.Long(at.Head));
                if (head > position)
                {
                    position = head;
                    continue;
                }

                if (!fits) break;
                if (isLoan) references.Add((named.Block, named.Generation));
                position += bytes;
            }
        }

        return true;
    }
}
