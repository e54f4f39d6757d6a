using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Topics;

// A topic's blocks, as one of its ends uses them. A block is its frame's until the publisher has said that the frame may be written over;
// subscribers that read it hold it beyond that. The pool is opened when it is first needed.

internal sealed class TopicLoans(SegmentFile segment, int maxBytes, bool writable) : IBlockReferences
{
    /// <summary>Blocks for each lane: a publisher that has lent so many gives up the oldest.</summary>
    public const int BlocksALane = 256;

    private readonly Lock _opening = new();
    private LoanPool? _pool;

    /// <summary>Blocks that this publisher's lane names, as far as it has published them itself.</summary>
    public int InRing { get; set; }

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
        for (int index = 0; index < segment.Plan.ParameterA; index++)
        {
            TopicLane lane = TopicLayout.Lane(segment.Plan, index);
            long tail = Volatile.Read(ref map.Long(lane.Tail)), position = Volatile.Read(ref map.Long(lane.Oldest));
            // Each step is at least a frame's header, so there are no more of them than fit into the ring.
            for (long steps = lane.Capacity / TopicLayout.FrameHeader; steps > 0 && position >= 0 && (position & 15) == 0 && position < tail; steps--)
            {
                long at = lane.At(position), header = map.Long(at), bytes = TopicLayout.FrameBytes((int)header);
                bool fits = (int)header >= 0 && bytes <= lane.Capacity - (position & (lane.Capacity - 1));
                bool isLoan = fits && (int)(header >> 32) == TopicLayout.TypeLoan && (int)header == BlockDescriptor.Bytes;
                BlockDescriptor named = isLoan ? BlockDescriptor.Read(map, at + TopicLayout.FrameHeader) : default;
                Volatile.ReadBarrier();
                long oldest = Volatile.Read(ref map.Long(lane.Oldest));
                if (oldest > position)
                {
                    position = oldest;
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
