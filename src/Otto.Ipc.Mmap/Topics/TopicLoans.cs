using Otto.Ipc.Mmap.Loans;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Topics;

/// <summary>
/// The blocks of a topic: a block is its frame's until the publisher has said that the frame may be written over;
/// subscribers that read it hold it beyond that.
/// </summary>
internal readonly struct TopicLoans : IRingLoanLayout
{
    /// <summary>Blocks for each lane: a publisher that has lent so many gives up the oldest.</summary>
    public static int BlocksPerLane => 256;

    public static int FrameHeader => TopicLayout.FrameHeader;

    public static int LoanType => TopicLayout.TypeLoan;

    public static long FrameBytes(long length) => TopicLayout.FrameBytes(length);

    public static LoanLane Lane(SegmentPlan plan, int lane)
    {
        TopicLane at = TopicLayout.Lane(plan, lane);
        return new LoanLane(at.Oldest, at.Tail, at.Data, at.Capacity);
    }
}
