using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Streams;
using Otto.Ipc.Mmap.Topics;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Inspection;

// How full the lanes of streams and topics are. What is stored later is read first, so that a lane that moves on meanwhile looks fuller,
// never impossible; what is impossible all the same is a lie.

internal static class RingInspector
{
    public static StreamContents OfStream(SegmentFileReader bytes, SegmentPlan plan, ParticipantLocks probe)
    {
        int inUse = LanesInUse(bytes, plan.Control(RingLayout.LanesInUseWord(plan.ParameterA)), plan.ParameterA);
        var lanes = new StreamLaneContents[inUse];
        for (int i = 0; i < inUse; i++)
        {
            LaneOffsets at = RingLayout.Lane(plan, i);
            long head = bytes.Long(at.Head), completed = bytes.Long(at.Completed), tail = bytes.Long(at.Tail);
            if (head < 0 || tail < head)
                throw new CorruptSegmentException($"{bytes.Path}: lane {i}: tail {tail:N0} cannot follow head {head:N0}");
            lanes[i] = new StreamLaneContents(i, tail, Math.Min(tail - head, plan.Capacity), probe.IsRoleHeld(LaneTable.RoleOf(i)),
                completed == tail + 1);
        }

        return new StreamContents(lanes, plan.ParameterA, plan.Capacity, probe.IsRoleHeld(RingLayout.ReceiverRole));
    }

    public static TopicContents OfTopic(SegmentFileReader bytes, SegmentPlan plan)
    {
        int inUse = LanesInUse(bytes, plan.Control(TopicLayout.LanesInUseWord(plan.ParameterA)), plan.ParameterA);
        long published = 0, kept = 0;
        for (int i = 0; i < inUse; i++)
        {
            TopicLane lane = TopicLayout.Lane(plan, i);
            long oldest = bytes.Long(lane.Oldest), tail = bytes.Long(lane.Tail);
            if (oldest < 0 || tail < oldest)
                throw new CorruptSegmentException($"{bytes.Path}: lane {i}: tail {tail:N0} cannot follow oldest {oldest:N0}");
            kept += Math.Min(tail - oldest, plan.Capacity);
            // The number of the next message stands at tail; a tail that moved on meanwhile has a later one there, or a header's.
            published += Math.Max(0, bytes.Long(lane.At(tail) + 8));
        }

        return new TopicContents(published, kept, inUse, plan.ParameterA, plan.Capacity, TopicLayout.Policy(plan));
    }

    private static int LanesInUse(SegmentFileReader bytes, long word, int lanes)
    {
        long inUse = bytes.Long(word);
        return (ulong)inUse <= (ulong)lanes ? (int)inUse
            : throw new CorruptSegmentException($"{bytes.Path}: {inUse:N0} lanes in use of {lanes:N0}");
    }
}
