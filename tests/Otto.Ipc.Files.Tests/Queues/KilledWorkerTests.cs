using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Queues;

// Senders and workers are real processes and meet a real SIGKILL; the ledger holds what all of them said against what a queue promises.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class KilledWorkerTests
{
    private const string Name = "jobs";
    private static readonly FilesQueueOptions Options = new() { Capacity = 32, MaxMessageBytes = 256, MaxAttempts = 10 };
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Tasks_of_a_killed_worker_run_again_on_another_within_two_seconds_with_attempt_2()
    {
        using WorkQueue queue = Open();
        for (int i = 0; i < 5; i++) queue.TrySend(Payload.Make(9, i, 100));
        using PeerProcess worker = _workspace.Start("queue-hold", Name, "5");
        worker.WaitFor("holding");
        using PeerProcess other = _workspace.Start("queue-work", Name);
        other.WaitFor("ready");
        Assert.That(queue.GetCounts().Leased, Is.EqualTo(5));
        worker.Kill();
        for (int i = 0; i < 5; i++)
        {
            string again = other.WaitFor($"lease 9:{i} 2");
            long at = long.Parse(again.AsSpan(again.LastIndexOf('@') + 1), CultureInfo.InvariantCulture);
            Assert.That(Stopwatch.GetElapsedTime(worker.EndedAt, at), Is.LessThan(Watchdog.Recovery));
            other.WaitFor($"done 9:{i}");
        }

        Finish(other);
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
    }

    [Test]
    public void Workers_and_senders_killed_at_any_moment_lose_nothing_and_double_nothing(
        [Values("send", "reserve", "delay", "cancel")] string sending, [Values("complete", "abandon", "give-up")] string working)
    {
        using WorkQueue queue = Open();
        var random = new Random(7);
        var peers = new List<PeerProcess>();
        var over = new HashSet<string>();
        PeerProcess steadySender = Begin("queue-send", Name, "0", "60", sending), steadyWorker = Begin("queue-work", Name, working);
        for (int round = 1; round <= 3; round++)
        {
            PeerProcess sender = Begin("queue-send", Name, round.ToString(CultureInfo.InvariantCulture), "100000", sending),
                worker = Begin("queue-work", Name, working);
            worker.WaitFor("ready");
            // Letters take room until somebody drops them.
            Watchdog.Until(() => DropLetters() >= 0 && QueueLedger.Last(sender, "sent") is not null, "the sender to send");
            // The moment is the point here, so it is drawn by chance, not waited for.
            long start = Stopwatch.GetTimestamp();
            var moment = TimeSpan.FromMicroseconds(random.Next(20_000));
            while (Stopwatch.GetElapsedTime(start) < moment) Thread.SpinWait(10);
            (round % 2 == 0 ? sender : worker).Kill();
            (round % 2 == 0 ? worker : sender).Kill();
            // What it was about to end may have ended unsaid.
            if (QueueLedger.Last(worker, "lease") is { } leased) over.Add(leased);
        }

        steadySender.Say("finish");
        Watchdog.Until(() => DropLetters() >= 0 && steadySender.HasExited, "the sender to end");
        Assert.That(steadySender.WaitForExit(), Is.Zero, steadySender.Errors);
        QueueLedger ledger = null!;
        Watchdog.Until(
            () =>
            {
                DropLetters();
                return (ledger = Ledger()).IsSettled;
            },
            "every message to come to its end");
        Finish(steadyWorker);
        Assert.That(ledger.Check(), Is.Empty);
        // The next to open sweeps what the last ones killed left.
        using WorkQueue sweeper = Open();
        while (queue.TryLease(out WorkLease lease)) lease.Complete();
        DropLetters();
        Watchdog.Until(() => queue.GetCounts().Free == queue.Capacity || TakeOne(queue), "the queue to be empty");

        int DropLetters()
        {
            int count = 0;
            foreach (DeadLetter letter in queue.GetDeadLetters())
            {
                if (Payload.TryRead(letter.Payload.Span, out int sender, out int sequence)) over.Add($"{sender}:{sequence}");
                if (queue.DeleteDeadLetter(letter.Id)) count++;
            }

            return count;
        }

        QueueLedger Ledger()
        {
            var all = new QueueLedger();
            foreach (PeerProcess peer in peers) all.Add(peer);
            foreach (string id in over) all.AddOver(id);
            return all;
        }

        PeerProcess Begin(params string[] arguments)
        {
            PeerProcess peer = _workspace.Start(arguments);
            peers.Add(peer);
            return peer;
        }
    }

    [Test]
    public void A_killed_worker_no_longer_counts_as_one()
    {
        using WorkQueue queue = Open();
        using PeerProcess worker = _workspace.Start("queue-stay", Name, "worker");
        worker.WaitFor("ready");
        Assert.That(queue.OtherConsumers, Is.EqualTo(1));
        worker.Kill();
        Assert.That(queue.OtherConsumers, Is.Zero);
        // Its directory goes with the next look.
        Assert.That(queue.WaitToLease(TimeSpan.FromSeconds(1.1)), Is.False);
        Assert.That(Directory.GetDirectories(Path.Combine(_workspace.Directory, "queues", Name, "leased")), Has.Length.EqualTo(1));
    }

    [Test]
    public void A_stopped_worker_keeps_what_it_holds_and_nothing_else()
    {
        using WorkQueue queue = Open();
        for (int i = 0; i < 3; i++) queue.TrySend(Payload.Make(9, i, 100));
        using PeerProcess worker = _workspace.Start("queue-hold", Name, "2");
        worker.WaitFor("holding");
        worker.Signal(19);
        Watchdog.Until(() => worker.IsStopped, "the worker to stop");
        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        lease.Complete();
        // Longer than a look for the dead takes: what a stopped one holds is not given away.
        Assert.That(queue.WaitToLease(TimeSpan.FromSeconds(2.2)), Is.False);
        for (int i = 0; i < queue.Capacity - 2; i++) Assert.That(queue.TrySend("x"u8), Is.True);
        while (queue.TryLease(out lease)) lease.Complete();
        worker.Signal(18);
        Finish(worker);
        Assert.That(worker.Lines.Count(line => line.StartsWith("done", StringComparison.Ordinal)), Is.EqualTo(2));
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
    }

    private static bool TakeOne(WorkQueue queue)
    {
        if (queue.TryLease(out WorkLease lease)) lease.Complete();
        return false;
    }

    private static void Finish(PeerProcess peer)
    {
        peer.Say("finish");
        Assert.That(peer.WaitForExit(), Is.Zero, peer.Errors);
    }

    private WorkQueue Open() => _workspace.Transport.OpenQueue(Name, Options);
}
