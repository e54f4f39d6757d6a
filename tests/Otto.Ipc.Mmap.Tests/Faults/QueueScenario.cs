using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Faults;

// What the named fault tests of the queue share; the fault lab (eng/faults) runs every point of every shape.

internal sealed class QueueScenario(TestWorkspace workspace)
{
    public const string Name = "jobs";
    public const int Slots = 8;

    private readonly List<string> _problems = [];

    public static MmapQueueOptions Options => new() { Slots = Slots, SlotBytes = 256, MaxAttempts = 10, MaxParticipants = 16 };

    public static QueueLedger Ledger(params ReadOnlySpan<PeerProcess> peers)
    {
        var ledger = new QueueLedger();
        foreach (PeerProcess peer in peers) ledger.Add(peer);
        return ledger;
    }

    /// <summary>Whether every slot can be used, which the counts alone cannot tell.</summary>
    public IReadOnlyList<string> CheckSlots()
    {
        using WorkQueue queue = workspace.Transport.OpenQueue(Name);
        foreach (DeadLetter letter in queue.GetDeadLetters()) queue.DeleteDeadLetter(letter.Id);
        WorkQueueCounts counts = queue.GetCounts();
        if (counts.Free != queue.Capacity) _problems.Add($"slots: at the end there are {counts}");
        int sent = 0, done = 0;
        while (sent <= queue.Capacity && queue.TrySend([1])) sent++;
        while (queue.TryLease(out WorkLease lease) && lease.Complete()) done++;
        if (sent != queue.Capacity || done != sent)
            _problems.Add($"slots: of {queue.Capacity} slots {sent} could be filled and {done} emptied");
        return _problems;
    }
}
