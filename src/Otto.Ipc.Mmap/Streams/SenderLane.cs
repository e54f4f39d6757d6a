using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Streams;

// Which lane a new sender gets. A lane needs no repair after a death, so its lock is all there is to have; what the dead one published
// stays in front of what its successor adds.

internal static class SenderLane
{
    /// <summary>
    /// Takes a lane that has no live sender: first the lowest whose last sender did not complete it, so that a successor ends what its
    /// predecessor began; then the lowest. Closes the segment where there is none.
    /// </summary>
    public static int Take(SegmentFile segment)
    {
        try
        {
            int inUse = InUse(segment), lanes = segment.Plan.ParameterA;
            for (int lane = 0; lane < inUse; lane++)
            {
                LaneOffsets at = RingLayout.Lane(segment.Plan, lane);
                // Neither read decides anything that matters beyond which lane it is: the lock does.
                bool completed = Volatile.Read(ref segment.Mapping.Long(at.Completed)) == Volatile.Read(ref segment.Mapping.Long(at.Tail)) + 1;
                if (!completed && TryLock(segment, lane)) return lane;
            }

            for (int lane = 0; lane < lanes; lane++)
            {
                if (!TryLock(segment, lane)) continue;
                Announce(segment, lane);
                return lane;
            }

            throw new IOException(lanes == 1
                ? $"{segment.Path} has a sender already, and it is alive; dispose it first, or create the stream with a higher MaxSenders"
                : $"{segment.Path} has {lanes:N0} live senders, which is its limit; dispose one, or create the stream with a higher MaxSenders");
        }
        catch
        {
            segment.Close();
            throw;
        }
    }

    /// <summary>How many lanes ever had a sender, checked: it is shared, so it may hold anything.</summary>
    public static int InUse(SegmentFile segment)
    {
        // Acquire: pairs with the CAS in Announce; whoever sees a frame of a lane sees that the lane is in use.
        long inUse = Volatile.Read(ref segment.Mapping.Long(RingLayout.LanesInUse(segment.Plan)));
        if ((ulong)inUse > (ulong)segment.Plan.ParameterA) throw new CorruptSegmentException($"{segment.Path}: {inUse:N0} lanes in use of {segment.Plan.ParameterA:N0}");
        return (int)inUse;
    }

    private static bool TryLock(SegmentFile segment, int lane) => segment.Hold.TryWrite(LivenessLock.RoleByte + 1 + lane);

    private static void Announce(SegmentFile segment, int lane)
    {
        ref long word = ref segment.Mapping.Long(RingLayout.LanesInUse(segment.Plan));
        if (FaultPoints.On) FaultPoints.Reach("stream.lane.before");
        for (int seen = InUse(segment); seen <= lane; seen = InUse(segment))
        {
            // Full fence: pairs with the acquire in InUse. A failed exchange means that another sender announced a lane; the word only
            // grows, so there are no more rounds than lanes.
            if (Interlocked.CompareExchange(ref word, lane + 1, seen) == seen) break;
        }

        if (FaultPoints.On) FaultPoints.Reach("stream.lane.announced");
    }
}
