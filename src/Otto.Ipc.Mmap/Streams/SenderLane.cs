using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

// Which lane a new sender gets. A lane needs no repair after a death, so its lock is all there is to have; what the dead one published
// stays in front of what its successor adds.

internal static class SenderLane
{
    /// <summary>
    /// Takes a lane that has no live sender: first the lowest whose last sender did not complete it, so that a
    /// successor ends what its predecessor began; then the lowest. Closes the segment where there is none.
    /// </summary>
    public static int Take(SegmentFile segment)
    {
        try
        {
            LaneTable lanes = RingLayout.Lanes(segment);
            int inUse = lanes.InUse;
            for (int lane = 0; lane < inUse; lane++)
            {
                LaneOffsets at = RingLayout.Lane(segment.Plan, lane);
                // Neither read decides anything that matters beyond which lane it is: the lock does.
                bool completed = Volatile.Read(ref segment.Mapping.Long(at.Completed)) == Volatile.Read(ref segment.Mapping.Long(at.Tail))
                    + 1;
                if (!completed && lanes.TryLock(lane)) return lane;
            }

            if (lanes.TakeLowest() is var lowest and >= 0) return lowest;
            throw new IOException(lanes.Lanes == 1
                ? $"{segment.Path} has a sender already, and it is alive; dispose it first, or create the stream with a higher MaxSenders"
                : $"{segment.Path} has {lanes.Lanes:N0} live senders, which is its limit; dispose one, or create the stream with a "
                + $"higher MaxSenders");
        }
        catch
        {
            segment.Close();
            throw;
        }
    }
}
