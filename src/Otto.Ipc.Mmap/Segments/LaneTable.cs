namespace Otto.Ipc.Mmap.Segments;

// Lanes of a ring segment: each has an exclusive lock, and one word says how many were ever in use, so that a reader looks no further.
// The word only grows, by a CAS of one who holds the lane and has published nothing there yet.

internal readonly struct LaneTable(SegmentFile segment, long wordOffset, int lanes)
{
    /// <summary>The exclusive role of a lane's writer. Role 0 is the one receiver's.</summary>
    public static int RoleOf(int lane) => 1 + lane;

    public int Lanes => lanes;

    /// <summary>How many lanes ever had a writer, checked: it is shared, so it may hold anything.</summary>
    public int InUse
    {
        get
        {
            // Acquire: pairs with the CAS in Announce; whoever sees a frame of a lane sees that the lane is in use.
            long inUse = Volatile.Read(ref segment.Mapping.Long(wordOffset));
            return (ulong)inUse <= (ulong)lanes ? (int)inUse
                : throw new CorruptSegmentException($"{segment.Path}: {inUse:N0} lanes in use of {lanes:N0}");
        }
    }

    /// <summary>Takes a lane for as long as this process holds the segment open.</summary>
    /// <returns><see langword="true"/> if the lane was taken; otherwise, <see langword="false"/>: a live process has
    /// it.</returns>
    public bool TryLock(int lane) => segment.Locks.TryHoldRole(RoleOf(lane));

    /// <summary>Takes the lowest free lane. Returns -1 if there is none.</summary>
    public int TakeLowest()
    {
        for (int lane = 0; lane < lanes; lane++)
        {
            if (!TryLock(lane)) continue;
            Announce(lane);
            return lane;
        }

        return -1;
    }

    private void Announce(int lane)
    {
        if (FaultPoints.On) FaultPoints.Reach("lane.before");
        for (int seen = InUse; seen <= lane; seen = InUse)
        {
            // Full fence: pairs with the acquire in InUse. A failed exchange means that another writer announced a lane; the word only
            // grows, so there are no more rounds than lanes.
            if (Interlocked.CompareExchange(ref segment.Mapping.Long(wordOffset), lane + 1, seen) == seen) break;
        }

        if (FaultPoints.On) FaultPoints.Reach("lane.announced");
    }
}
