using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Queues;

// Whether anybody else works here. Asked for each task that is routed, so the answer is kept until the membership word changes; whoever
// comes, goes, or sweeps a dead participant changes it.

internal sealed class WorkerCount(SegmentMapping map, long wordOffset, Participants participants)
{
    private long _known = -1; // the membership word in the upper half, the count below: one word, so that both are of one moment

    /// <summary>Publishes whether this participant takes work.</summary>
    public void Announce(bool takesWork)
    {
        participants.SetRoles(takesWork ? ParticipantRoles.Sends | ParticipantRoles.TakesWork : ParticipantRoles.Sends);
        Changed();
    }

    public void Changed() => Changed(map, wordOffset);

    // Full fence: pairs with the acquire in OtherWorkers; the roles are visible before the word that says they changed.
    public static void Changed(SegmentMapping map, long wordOffset) => Interlocked.Increment(ref map.Int(wordOffset));

    public int OtherWorkers()
    {
        int now = Volatile.Read(ref map.Int(wordOffset));
        long known = Volatile.Read(ref _known);
        if (known >= 0 && (int)(known >> 32) == (now & int.MaxValue)) return (int)known;
        int count = 0;
        for (int i = 0; i < participants.Count; i++)
        {
            if (i != participants.Me && participants.IsActive(i) && (participants.Roles(i) & ParticipantRoles.TakesWork) != 0
                && participants.IsAlive(i)) count++;
        }

        Volatile.Write(ref _known, (long)(now & int.MaxValue) << 32 | (uint)count);
        return count;
    }
}
