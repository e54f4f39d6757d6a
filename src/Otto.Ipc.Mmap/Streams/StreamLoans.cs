using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

/// <summary>The blocks of a stream: a block is its frame's until the receiver has read that.</summary>
internal readonly struct StreamLoans : IRingLoanLayout
{
    /// <summary>Blocks for each lane: what a receiver that is behind leaves lent at most.</summary>
    public static int BlocksPerLane => 64;

    public static int FrameHeader => RingLayout.FrameHeader;

    public static int LoanType => RingLayout.TypeLoan;

    public static long FrameBytes(long length) => RingLayout.FrameBytes(length);

    public static LoanLane Lane(SegmentPlan plan, int lane)
    {
        LaneOffsets at = RingLayout.Lane(plan, lane);
        return new LoanLane(at.Head, at.Tail, at.Data, at.Capacity);
    }
}
