using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Faults;

// The sweeper can die too, and so can the sweeper's sweeper. First somebody dies with its hands full; then a process that repairs what was
// left is stopped at a step of the repair; then others come, and must find everything in order.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SweepFaultTests
{
    private const int Sent = 6;
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_sweeper_killed_there_leaves_the_rest_to_the_next(
        [Values("queue.sweep.word:1", "queue.sweep.word:2", "queue.push.cell:1", "queue.push.cell:3", "sweep.done:1",
            "sweep.freed:1")] string point)
    {
        HoldAndDie(QueueScenario.Options, 3);
        using PeerProcess sweeper = Sweep(point + ":KILL");
        Assert.That(sweeper.WaitForExit(), Is.EqualTo(137), sweeper.Errors);
        AllIsDone(attempts: 3);
    }

    [Test]
    public void A_sweeper_stopped_there_keeps_what_it_had_in_hand_and_nothing_else(
        [Values("queue.sweep.word:1", "queue.sweep.word:2", "queue.push.cell:1", "sweep.done:1", "sweep.freed:1")] string point)
    {
        HoldAndDie(QueueScenario.Options, 3);
        using PeerProcess sweeper = Sweep(point + ":STOP");
        Watchdog.Until(() => sweeper.IsStopped, "the sweeper to stop");
        using PeerProcess worker = _workspace.Start("queue-work", QueueScenario.Name);
        worker.WaitFor("ready");
        long start = Stopwatch.GetTimestamp();
        // All but the one message that the stopped sweeper moves.
        Watchdog.Until(() => Done(worker) >= Sent - 1, "the others' messages");
        Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(Watchdog.Recovery));
        sweeper.Signal(18);
        Watchdog.Until(() => Done(worker) == Sent, "the message in hand");
        sweeper.Say("finish");
        worker.Say("finish");
        Assert.That((sweeper.WaitForExit(), worker.WaitForExit()), Is.EqualTo((0, 0)), sweeper.Errors + worker.Errors);
        Check(worker, attempts: 3);
    }

    [Test]
    public void A_sweeper_killed_while_it_gives_a_message_up_leaves_that_to_the_next()
    {
        HoldAndDie(QueueScenario.Options with { MaxAttempts = 1 }, 3);
        using PeerProcess sweeper = Sweep("queue.sweep.taken-over:2:KILL");
        Assert.That(sweeper.WaitForExit(), Is.EqualTo(137), sweeper.Errors);
        using WorkQueue queue = _workspace.Transport.OpenQueue(QueueScenario.Name);
        Watchdog.Until(() => queue.GetCounts().Dead == 3, "three dead letters");
        Assert.That(queue.GetDeadLetters().Select(letter => letter.Reason), Is.All.Contains("died in attempt 1"));
        Assert.That(queue.GetCounts().Ready, Is.EqualTo(Sent - 3));
        while (queue.TryLease(out WorkLease lease)) lease.Complete();
        queue.Dispose();
        NoProblems(new QueueScenario(_workspace));
    }

    [Test]
    public void A_joiner_killed_while_it_sweeps_the_entry_that_it_takes_leaves_that_to_the_next(
        [Values("join.locked:1", "queue.sweep.word:1", "queue.push.cell:2", "join.described:1")] string point)
    {
        // Two entries, both dead: whoever joins must take one of them.
        MmapQueueOptions options = QueueScenario.Options with { MaxParticipants = 2 };
        HoldAndDie(options, 2, 1);
        using PeerProcess joiner = Sweep(point + ":KILL");
        Assert.That(joiner.WaitForExit(), Is.EqualTo(137), joiner.Errors);
        AllIsDone(attempts: 3, withSender: false);
    }

    [Test]
    public void A_joiner_stopped_as_it_joins_does_not_hold_back_a_dead_holders_messages(
        [Values("join.locked:1", "join.described:1")] string point)
    {
        HoldAndDie(QueueScenario.Options, 3);
        using PeerProcess joiner = Sweep(point + ":STOP");
        Watchdog.Until(() => joiner.IsStopped, "the joiner to stop");
        AllIsDone(attempts: 3);
        joiner.Signal(18);
        joiner.WaitFor("ready");
        joiner.Say("finish");
        Assert.That(joiner.WaitForExit(), Is.Zero, joiner.Errors);
    }

    [Test]
    public void What_a_victim_left_between_word_and_cell_survives_the_death_of_its_sweeper(
        [Values("queue.fill.word:3", "queue.push.cell:3", "queue.take.head:3")] string death,
            [Values("queue.sweep.word:1", "sweep.done:1")] string point)
    {
        _workspace.Transport.OpenQueue(QueueScenario.Name, QueueScenario.Options).Dispose();
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", death + ":KILL")], "queue-send", QueueScenario.Name, "1", "6");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        using PeerProcess sweeper = Sweep(point + ":KILL");
        bool swept = !death.StartsWith("queue.push", StringComparison.Ordinal) || !point.StartsWith("queue", StringComparison.Ordinal);
        if (!swept)
        {
            // The cell is there: nothing to move, so this sweeper lives.
            sweeper.WaitFor("ready");
            sweeper.Say("finish");
        }

        Assert.That(sweeper.WaitForExit(), Is.EqualTo(swept ? 137 : 0), sweeper.Errors);
        using PeerProcess worker = _workspace.Start("queue-work", QueueScenario.Name);
        bool committed = death != "queue.take.head:3";
        Watchdog.Until(() => Done(worker) == (committed ? 3 : 2), "what was committed");
        worker.Say("finish");
        Assert.That(worker.WaitForExit(), Is.Zero, worker.Errors);
        NoProblems(new QueueScenario(_workspace));
    }

    [Test]
    public void A_keeper_of_dead_letters_killed_there_loses_none(
        [Values("queue.end.word", "queue.push.cell", "queue.end.pushed")] string point, [Values(1, 2)] int hit)
    {
        using (WorkQueue queue = _workspace.Transport.OpenQueue(QueueScenario.Name, QueueScenario.Options))
        {
            for (int i = 0; i < 2; i++)
            {
                queue.TrySend(Payload.Make(9, i, 40));
                queue.TryLease(out WorkLease lease);
                lease.DeadLetter("to be kept");
            }
        }

        // By turns it requeues one and drops one.
        using PeerProcess keeper = _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:{hit}:KILL")], "queue-letters", QueueScenario.Name);
        Assert.That(keeper.WaitForExit(), Is.EqualTo(137), keeper.Errors);
        using WorkQueue other = _workspace.Transport.OpenQueue(QueueScenario.Name);
        Watchdog.Until(() => other.GetCounts().Ready == 1, "the requeued letter");
        Assert.That(other.GetDeadLetters(), Has.Count.EqualTo(2 - hit));
        Assert.That(other.TryLease(out WorkLease again), Is.True);
        Assert.That(again.Payload.ToArray(), Is.EqualTo(Payload.Make(9, 0, 40)));
        Assert.That(again.Attempt, Is.EqualTo(1));
        again.Complete();
        other.Dispose();
        NoProblems(new QueueScenario(_workspace));
    }

    [Test]
    public void A_leaver_killed_on_its_way_out_is_swept()
    {
        _workspace.Transport.OpenQueue(QueueScenario.Name, QueueScenario.Options with { MaxParticipants = 2 }).Dispose();
        for (int i = 0; i < 3; i++)
        {
            using PeerProcess leaver = _workspace.StartWith([("OTTO_FAULT_AT", "leave.roles:1:KILL")], "queue-stay", QueueScenario.Name);
            leaver.WaitFor("ready");
            leaver.Say("finish");
            Assert.That(leaver.WaitForExit(), Is.EqualTo(137), leaver.Errors);
        }

        using WorkQueue one = _workspace.Transport.OpenQueue(QueueScenario.Name), two = _workspace.Transport.OpenQueue(QueueScenario.Name);
        Assert.That(one.GetCounts().Free, Is.EqualTo(QueueScenario.Slots));
    }

    /// <summary>Sends six messages, has other processes lease some, and kills these.</summary>
    private void HoldAndDie(MmapQueueOptions options, params int[] each)
    {
        using (WorkQueue queue = _workspace.Transport.OpenQueue(QueueScenario.Name, options))
        {
            for (int i = 0; i < Sent; i++) Assert.That(queue.TrySend(Payload.Make(9, i, 40)), Is.True);
        }

        PeerProcess[] holders = [.. each.Select(count => _workspace.Start("queue-hold", QueueScenario.Name, $"{count}"))];
        foreach (PeerProcess holder in holders) holder.WaitFor("holding");
        // Both at once, as near as can be: one that lived a second longer would sweep the other.
        foreach (PeerProcess holder in holders) holder.Signal(9);
        foreach (PeerProcess holder in holders) holder.WaitForExit();
    }

    private PeerProcess Sweep(string fault) => _workspace.StartWith([("OTTO_FAULT_AT", fault)], "queue-stay", QueueScenario.Name);

    private void AllIsDone(int attempts, bool withSender = true)
    {
        using PeerProcess worker = _workspace.Start("queue-work", QueueScenario.Name);
        Watchdog.Until(() => Done(worker) == Sent, "every message to be done");
        if (withSender)
        {
            using PeerProcess sender = _workspace.Start("queue-send", QueueScenario.Name, "2", "30");
            Watchdog.Until(() => Done(worker) > Sent + 20, "others to go on");
            sender.Say("finish");
            Assert.That(sender.WaitForExit(), Is.Zero, sender.Errors);
            Watchdog.Until(() => QueueScenario.Ledger(sender, worker).IsSettled, "every message to be done");
        }

        worker.Say("finish");
        Assert.That(worker.WaitForExit(), Is.Zero, worker.Errors);
        if (!withSender) Check(worker, attempts);
    }

    private void Check(PeerProcess worker, int attempts)
    {
        QueueLedger ledger = QueueScenario.Ledger(worker);
        for (int i = 0; i < Sent; i++) ledger.AddSent($"9:{i}");
        Assert.That(ledger.Check(), Is.Empty);
        Assert.That(worker.Lines.Count(
            line => line.StartsWith("lease", StringComparison.Ordinal) && line.Contains(" 2 @", StringComparison.Ordinal)),
            Is.EqualTo(attempts));
        NoProblems(new QueueScenario(_workspace));
    }

    private static void NoProblems(QueueScenario scenario) => Assert.That(scenario.CheckSlots(), Is.Empty);

    private static int Done(PeerProcess worker) => worker.Lines.Count(line => line.StartsWith("done", StringComparison.Ordinal));
}
