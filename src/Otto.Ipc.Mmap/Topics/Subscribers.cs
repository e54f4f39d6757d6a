using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Topics;

// The subscribers of a topic that can hold a publisher or be ejected: a place each, by their number as participants, and a position in each
// lane. Under Overwrite nobody has a place, and nothing here is touched.
//
//  place  63          8 7      0
//         +------------+--------+
//         | epoch      | state  |     free 0, held 1, ejected 2
//         +------------+--------+
//
//  enter:  positions; place ← held (release); full fence; look at oldest again, and begin behind it where it has moved on
//  hold:   the publisher moves oldest on; full fence; looks at the places again; only then does it say its intent
//  Either the one who enters sees the new oldest, or the publisher sees the place and the position that it must wait for.

internal sealed class Subscribers(SegmentFile segment, int lane)
{
    private readonly SegmentMapping _map = segment.Mapping;
    private readonly SegmentPlan _plan = segment.Plan;

    public SlowSubscriberPolicy Policy { get; } = TopicLayout.Policy(segment.Plan);

    /// <summary>Whether every subscriber has read the lane up to <paramref name="position"/>.</summary>
    /// <param name="position">Up to where.</param>
    /// <param name="tail">The lane's tail. No subscriber reads beyond it.</param>
    public bool HaveReadTo(long position, long tail)
    {
        for (int i = _plan.ParameterA; i < _plan.MaxParticipants; i++)
        {
            if (IsBehind(i, position, tail, out _)) return false;
        }

        return true;
    }

    /// <summary>Makes sure, by the topic's policy, that no subscriber needs the bytes before
    /// <paramref name="position"/>.</summary>
    /// <returns><see langword="true"/> if no subscriber needs them; otherwise, <see langword="false"/>: a subscriber
    /// does, and it may block the publisher.</returns>
    public bool Release(long position, long tail)
    {
        if (Policy == SlowSubscriberPolicy.Overwrite || position <= 0) return true;
        if (Policy == SlowSubscriberPolicy.Block) return HaveReadTo(position, tail);
        for (int i = _plan.ParameterA; i < _plan.MaxParticipants; i++)
        {
            if (!IsBehind(i, position, tail, out long place)) continue;
            if (FaultPoints.On) FaultPoints.Reach("topic.eject.before");
            // Exact: a later subscriber in the same place is not ejected for this one. Should it fail, that
            // one has entered or left meanwhile.
            Interlocked.CompareExchange(ref _map.Long(TopicLayout.Place(_plan, i)),
                (place & ~TopicLayout.PlaceMask) | TopicLayout.PlaceEjected, place);
            if (FaultPoints.On) FaultPoints.Reach("topic.eject.place");
        }

        return true;
    }

    /// <summary>Frees what a dead participant held. Several may do this at once: it can
    /// have no successor meanwhile.</summary>
    public void Repair(int dead, int me)
    {
        if (Policy == SlowSubscriberPolicy.Overwrite || dead < _plan.ParameterA) return;
        Leave(dead);
        RingPublishers();
    }

    /// <summary>Wakes the publishers that wait for a subscriber to read further, so that they check again.</summary>
    public void RingPublishers()
    {
        for (int i = 0; i < _plan.ParameterA; i++) new Doorbell(_map, TopicLayout.Lane(_plan, i).PublisherBell).Ring();
    }

    public void Leave(int participant)
    {
        if (Policy == SlowSubscriberPolicy.Overwrite) return;
        ref long place = ref _map.Long(TopicLayout.Place(_plan, participant));
        if (FaultPoints.On) FaultPoints.Reach("topic.leave.before");
        // Pairs with the acquire in IsBehind, and with the exact CAS in Release: an ejection that this overtakes is of nobody any more.
        Volatile.Write(ref place, Volatile.Read(ref place) & ~TopicLayout.PlaceMask);
        if (FaultPoints.On) FaultPoints.Reach("topic.leave.place");
    }

    private bool IsBehind(int participant, long position, long tail, out long place)
    {
        // Acquire: pairs with the release in LaneSubscription.Enter; a held place has its positions.
        place = Volatile.Read(ref _map.Long(TopicLayout.Place(_plan, participant)));
        if ((place & TopicLayout.PlaceMask) != TopicLayout.PlaceHeld) return false;
        long read = Volatile.Read(ref _map.Long(TopicLayout.Position(_plan, participant, lane)));
        return read < position && read <= tail;
    }
}
