using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Faults;

// The two promises that people ask about first.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class KilledProcessTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Tasks_of_a_killed_worker_run_again_on_another_within_two_seconds_with_attempt_2()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", QueueScenario.Options);
        for (int i = 0; i < 5; i++) queue.TrySend(Payload.Make(9, i, 100));
        using PeerProcess worker = _workspace.Start("queue-hold", "jobs", "5");
        worker.WaitFor("holding");
        using PeerProcess other = _workspace.Start("queue-work", "jobs");
        other.WaitFor("ready");
        Assert.That(queue.GetCounts().Leased, Is.EqualTo(5));
        worker.Kill();
        for (int i = 0; i < 5; i++)
        {
            string again = other.WaitFor($"lease 9:{i} 2");
            long at = long.Parse(again.AsSpan(again.LastIndexOf('@') + 1), System.Globalization.CultureInfo.InvariantCulture);
            Assert.That(Stopwatch.GetElapsedTime(worker.EndedAt, at), Is.LessThan(Watchdog.Recovery));
            other.WaitFor($"done 9:{i}");
        }

        other.Say("finish");
        Assert.That(other.WaitForExit(), Is.Zero, other.Errors);
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
    }

    [Test]
    public void Nothing_else_notices_a_sender_killed_in_the_middle_of_a_send()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", QueueScenario.Options);
        using PeerProcess sender = _workspace.StartWith([("OTTO_FAULT_AT", "queue.fill.described:3:KILL")], "queue-send", "jobs", "1", "5");
        Assert.That(sender.WaitForExit(), Is.EqualTo(137), sender.Errors);
        for (int i = 0; i < 2; i++)
        {
            Assert.That(queue.TryLease(out WorkLease lease), Is.True);
            Assert.That(lease.Payload.ToArray(), Is.EqualTo(Payload.Make(1, i, lease.Payload.Length)));
            lease.Complete();
        }

        Assert.That(queue.TryLease(out _), Is.False);
        // At once, with the dead one's slot still taken.
        for (int i = 0; i < QueueScenario.Slots - 1; i++) Assert.That(queue.TrySend(Payload.Make(2, i, 40)), Is.True);
        for (int i = 0; i < QueueScenario.Slots - 1; i++)
        {
            Assert.That(queue.TryLease(out WorkLease lease), Is.True);
            lease.Complete();
        }

        Watchdog.Until(() => queue.GetCounts().Free == QueueScenario.Slots, "the dead one's slot");
    }

    [Test]
    public void A_killed_worker_no_longer_counts_as_one_even_if_another_process_takes_its_place_at_once()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", QueueScenario.Options with { MaxParticipants = 2 });
        for (int i = 0; i < 3; i++)
        {
            using PeerProcess worker = _workspace.Start("queue-stay", "jobs", "worker");
            worker.WaitFor("ready");
            Watchdog.Until(() => queue.OtherConsumers == 1, "the worker to be counted");
            worker.Kill();
            // The only entry left is the dead worker's, so this handle takes it.
            using WorkQueue next = _workspace.Transport.OpenQueue("jobs");
            Assert.That(queue.OtherConsumers, Is.Zero);
        }
    }

    [Test]
    public void A_killed_worker_no_longer_counts_as_one_within_two_seconds()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", QueueScenario.Options);
        using PeerProcess worker = _workspace.Start("queue-stay", "jobs", "worker");
        worker.WaitFor("ready");
        Assert.That(queue.OtherConsumers, Is.EqualTo(1));
        worker.Kill();
        Watchdog.Until(() => queue.OtherConsumers == 0, "the dead worker to be noticed", Watchdog.Recovery);
    }
}
