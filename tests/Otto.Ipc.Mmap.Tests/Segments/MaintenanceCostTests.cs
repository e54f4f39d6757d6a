using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Segments;

// What looking for the dead costs where nobody dies, and that it finds them all the same.

[TestFixture]
[NonParallelizable] // Counts what the process does.
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class MaintenanceCostTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_round_asks_once_for_each_participant_however_many_handles_a_process_has()
    {
        const int Handles = 100, Rounds = 4;
        var options = new MmapQueueOptions { Slots = 4, SlotBytes = 8, MaxParticipants = 128 };
        WorkQueue[] handles = [.. Enumerable.Range(0, Handles).Select(_ => _workspace.Transport.OpenQueue("jobs", options))];
        var rounds = new Counting();
        MaintenanceThread.Register(rounds);
        try
        {
            Watchdog.Until(() => rounds.Count > 1, "the first rounds");
            long before = Participants.Probes, first = rounds.Count;
            Watchdog.Until(() => rounds.Count > first + Rounds, "some rounds");
            Assert.That(Participants.Probes - before, Is.InRange(1, (Rounds + 2) * Handles));
        }
        finally
        {
            MaintenanceThread.Unregister(rounds);
            foreach (WorkQueue handle in handles) handle.Dispose();
        }
    }

    [Test]
    public void A_dead_worker_is_found_although_all_who_are_next_to_it_are_stopped()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        PeerProcess[] stopped = [.. Enumerable.Range(0, 3).Select(_ => _workspace.Start("queue-stay", "jobs"))];
        foreach (PeerProcess peer in stopped) peer.WaitFor("ready");
        using PeerProcess holder = _workspace.Start("queue-hold", "jobs", "1");
        holder.WaitFor("ready");
        queue.TrySend(Payload.Make(1, 1, 40));
        holder.WaitFor("holding");
        foreach (PeerProcess peer in stopped) peer.Signal(19);
        Watchdog.Until(() => stopped.All(peer => peer.IsStopped), "all to be stopped");
        holder.Kill();
        WorkLease lease = default;
        Watchdog.Until(() => queue.TryLease(out lease), "the message to come back");
        lease.Complete();
        foreach (PeerProcess peer in stopped) peer.Dispose();
    }

    private sealed class Counting : IMaintained
    {
        public volatile int Count;

        public void RunMaintenance() => Count++;
    }
}
