using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Faults;

// Senders and workers that are each process 1 of a container of their own, and are killed at any moment: what a dead one held is found by
// its lock, since its number means nothing.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PidNamespaceTests
{
    private static readonly string[] SenderModes = ["send", "loan", "reserve", "abort", "delay"], WorkerModes = ["complete", "abandon",
        "async", "hold"];

    // With OTTO_LONG_TESTS as many as a machine sees in a bad year.
    private static readonly int s_kills = Environment.GetEnvironmentVariable("OTTO_LONG_TESTS") is { Length: > 0 } ? 300 : 40;

    private readonly TestWorkspace _workspace = new();
    private readonly Random _random = new(28);
    private readonly List<PeerProcess> _peers = [];

    [TearDown]
    public void CleanUp()
    {
        foreach (PeerProcess peer in _peers) peer.Dispose();
        _workspace.Dispose();
    }

    [Test]
    public void No_message_is_lost_or_done_twice_and_no_lock_stays_whoever_is_killed()
    {
        IReadOnlyList<string> container = Namespaces.OwnPids();
        using WorkQueue queue = _workspace.Transport.OpenQueue(QueueScenario.Name, QueueScenario.Options with { MaxAttempts = 100 });
        PeerProcess sender = StartSender(), worker = StartWorker();
        for (int kill = 0; kill < s_kills; kill++)
        {
            // Both go on until then, so that each has something to do.
            PeerProcess victim = _random.Next(2) == 0 ? sender : worker;
            int lines = _random.Next(1, 120);
            Watchdog.Until(() => victim.Lines.Count >= lines, $"{lines} lines of {victim}");
            victim.Kill();
            if (victim == sender) sender = StartSender();
            else worker = StartWorker();
        }

        sender.Kill();
        worker.Kill();
        // Another namespace again: the one of the test.
        PeerProcess last = Add(_workspace.Start("queue-work", QueueScenario.Name));
        Watchdog.Until(() => QueueScenario.Ledger([.. _peers]).IsSettled, "every message that was sent to be done");
        last.Say("finish");
        Assert.That(last.WaitForExit(), Is.Zero, last.Errors);

        QueueLedger ledger = QueueScenario.Ledger([.. _peers]);
        int done = _peers.Sum(static peer => peer.Lines.Count(static line => line.StartsWith("done ", StringComparison.Ordinal)));
        TestContext.Out.WriteLine($"{s_kills} processes killed, {done} messages done");
        Assert.That(ledger.Check(), Is.Empty);
        Watchdog.Until(() => queue.GetCounts().Free == queue.Capacity, "the full capacity");
        Assert.That(new QueueScenario(_workspace).CheckSlots(), Is.Empty);

        PeerProcess StartSender() => StartReady("queue-send", QueueScenario.Name, $"{_peers.Count}", "1", SenderModes[_peers.Count % 5]);

        PeerProcess StartWorker() => StartReady("queue-work", QueueScenario.Name, WorkerModes[_peers.Count % 4]);

        PeerProcess StartReady(params string[] arguments)
        {
            PeerProcess peer = Add(_workspace.StartIn(container, arguments));
            peer.WaitFor("ready");
            return peer;
        }
    }

    private PeerProcess Add(PeerProcess peer)
    {
        _peers.Add(peer);
        return peer;
    }
}
