using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Loans;

// The blocks of a ring's lanes, as one end of a stream or topic uses them. The pool is opened when it is first needed.

/// <summary>What the walk over a ring needs to know of its layout.</summary>
internal interface IRingLoanLayout
{
    /// <summary>Blocks for each lane.</summary>
    static abstract int BlocksPerLane { get; }

    /// <summary>Bytes before a payload; frames and positions are multiples of it.</summary>
    static abstract int FrameHeader { get; }

    /// <summary>The type of a frame that names a block.</summary>
    static abstract int LoanType { get; }

    /// <summary>The bytes of a frame with such a payload.</summary>
    static abstract long FrameBytes(long length);

    /// <summary>Where a lane's frames are.</summary>
    static abstract LoanLane Lane(SegmentPlan plan, int lane);
}

/// <summary>A lane's frames.</summary>
/// <param name="First">The word that holds the position of the first frame that counts.</param>
/// <param name="Tail">The word that holds the position behind the last one.</param>
/// <param name="Data">Where the lane's bytes begin.</param>
/// <param name="Capacity">How many there are.</param>
internal readonly record struct LoanLane(long First, long Tail, long Data, long Capacity);

internal sealed class RingLoans<TLayout>(SegmentFile segment, int maxBytes, bool writable) : IBlockReferences
    where TLayout : struct, IRingLoanLayout
{
    private readonly Lock _opening = new();
    private LoanPool? _pool;

    public LoanPool Pool
    {
        get
        {
            if (Volatile.Read(ref _pool) is { } open) return open;
            lock (_opening)
            {
                if (_pool is null) Volatile.Write(ref _pool,
                    LoanPool.Open(segment, segment.Plan.ParameterA * TLayout.BlocksPerLane, this, writable));
                return _pool;
            }
        }
    }

    public void CheckSize(int bytes)
    {
        if (bytes < 1 || bytes > maxBytes)
            throw new ArgumentOutOfRangeException(nameof(bytes),
                $"a loan of {bytes:N0} bytes is not within 1 to {maxBytes:N0}; raise MaxLoanBytes");
    }

    public void RunMaintenance(bool swept)
    {
        if (_pool is null && !(swept && LoanPool.Exists(segment))) return;
        Pool.RunMaintenance();
        if (swept) Pool.Collect();
    }

    public void Close() => _pool?.Close();

    public bool AddReferences(HashSet<(int Block, long Generation)> references)
    {
        SegmentMapping map = segment.Mapping;
        for (int lane = 0; lane < segment.Plan.ParameterA; lane++)
        {
            LoanLane at = TLayout.Lane(segment.Plan, lane);
            long tail = Volatile.Read(ref map.Long(at.Tail)), position = Volatile.Read(ref map.Long(at.First));
            // Each step is at least a frame's header, so there are no more of them than fit into the ring.
            for (long steps = at.Capacity / TLayout.FrameHeader; steps > 0 && position >= 0 && (position & (TLayout.FrameHeader - 1)) == 0
                && position < tail; steps--)
            {
                long offset = position & (at.Capacity - 1), header = map.Long(at.Data + offset), bytes = TLayout.FrameBytes((int)header);
                bool fits = (int)header >= 0 && bytes <= at.Capacity - offset;
                bool isLoan = fits && (int)(header >> 32) == TLayout.LoanType && (int)header == BlockDescriptor.Bytes;
                BlockDescriptor named = isLoan ? BlockDescriptor.Read(map, at.Data + offset + TLayout.FrameHeader) : default;
                Volatile.ReadBarrier();
                // Read on meanwhile: what lies before the first may be another frame's bytes by now.
                long first = Volatile.Read(ref map.Long(at.First));
                if (first > position)
                {
                    position = first;
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
