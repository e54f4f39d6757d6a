using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Faults;

// Three senders share a stream; one is killed or stopped at each step. The others go on, nothing published is lost, order is kept for
// each sender, and the stream ends only once a successor has ended what the dead one began.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SenderLaneFaultTests
{
    private const string Name = "shared";

    private static readonly (string Point, int Hit, bool Publishes)[] Points =
    [
        ("lane.before", 1, false),
        ("lane.announced", 1, false),
        ("stream.open.before", 1, false),
        ("stream.open.completed", 1, false),
        ("join.locked", 1, false),
        ("join.described", 1, false),
        ("stream.publish.payload", 30, false),
        ("stream.publish.frame", 30, false),
        ("stream.publish.tail", 30, true),
        ("stream.complete.before", 1, false),
        ("stream.complete.word", 1, true),
    ];

    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_sender_killed_there_blocks_no_other_and_its_successor_ends_the_stream([Range(0, 10)] int point)
    {
        (string name, int hit, bool publishes) = Points[point];
        using PeerProcess receiver = _workspace.Start("lane-receive", Name);
        using PeerProcess first = _workspace.Start("lane-send", Name, "1", "30");
        using PeerProcess second = _workspace.Start("lane-send", Name, "2", "30");
        // Both have a lane of their own before there is a dead one's to take.
        first.WaitFor("ready");
        second.WaitFor("ready");
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", $"{name}:{hit}:KILL")], "lane-send", Name, "3", "40");
        if (name.StartsWith("stream.complete", StringComparison.Ordinal)) victim.Say("finish");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        GoOn(receiver, first, second);
        int intended = Numbers(victim, "intent").LastOrDefault(-1), sent = Numbers(victim, "sent").LastOrDefault(-1);
        int last = publishes ? intended : sent;
        Watchdog.Until(() => Got(receiver, 3).LastOrDefault(-1) >= last, "what the dead one published");
        first.Say("finish");
        second.Say("finish");
        Assert.That((first.WaitForExit(), second.WaitForExit()), Is.EqualTo((0, 0)), first.Errors + second.Errors);
        // Where the victim got as far as a lane in use and no further, the stream goes on until somebody completes in its place.
        if (name is not ("lane.before" or "stream.complete.word"))
            Assert.That(receiver.HasExited, Is.False, "a dead sender has not said that no more would come");
        using PeerProcess successor = _workspace.Start("lane-send", Name, "4", "20");
        successor.Say("finish");
        Assert.That(successor.WaitForExit(), Is.Zero, successor.Errors);
        Assert.That(receiver.WaitForExit(), Is.Zero, receiver.Errors);
        CheckOrder(receiver, (1, first), (2, second));
        Assert.That(Got(receiver, 3), Is.EqualTo(Enumerable.Range(0, last + 1)));
    }

    [Test]
    public void A_sender_stopped_there_blocks_no_other_and_finishes_later([Range(0, 10)] int point)
    {
        (string name, int hit, _) = Points[point];
        using PeerProcess receiver = _workspace.Start("lane-receive", Name);
        using PeerProcess first = _workspace.Start("lane-send", Name, "1", "30");
        using PeerProcess second = _workspace.Start("lane-send", Name, "2", "30");
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", $"{name}:{hit}:STOP")], "lane-send", Name, "3", "40");
        victim.Say("finish");
        Watchdog.Until(() => victim.IsStopped, "the sender to stop");
        GoOn(receiver, first, second);
        first.Say("finish");
        second.Say("finish");
        Assert.That((first.WaitForExit(), second.WaitForExit()), Is.EqualTo((0, 0)), first.Errors + second.Errors);
        victim.Signal(18);
        Assert.That(victim.WaitForExit(), Is.Zero, victim.Errors);
        Assert.That(receiver.WaitForExit(), Is.Zero, receiver.Errors);
        CheckOrder(receiver, (1, first), (2, second));
        // Stopped before its lane was in use, it may come after the end; whoever opens the receiver next hears it.
        if (name == "lane.before" && Got(receiver, 3).Count == 0)
        {
            using PeerProcess next = _workspace.Start("lane-receive", Name);
            Assert.That(next.WaitForExit(), Is.Zero, next.Errors);
            CheckOrder(next, (3, victim));
            return;
        }

        CheckOrder(receiver, (3, victim));
    }

    [Test]
    public void A_killed_senders_place_is_free_at_once_while_its_messages_wait()
    {
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", "stream.publish.tail:10:KILL")], "lane-send", Name, "3", "40");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        PeerProcess[] senders =
            [.. Enumerable.Range(5, 3).Select(i => _workspace.Start("lane-send", Name, i.ToString(CultureInfo.InvariantCulture), "10"))];
        foreach (PeerProcess sender in senders) sender.WaitFor("ready");
        using PeerProcess receiver = _workspace.Start("lane-receive", Name);
        foreach (PeerProcess sender in senders)
        {
            sender.Say("finish");
            Assert.That(sender.WaitForExit(), Is.Zero, sender.Errors);
        }

        Assert.That(receiver.WaitForExit(), Is.Zero, receiver.Errors);
        Assert.That(Got(receiver, 3), Is.EqualTo(Enumerable.Range(0, 10)));
        CheckOrder(receiver, (5, senders[0]), (6, senders[1]), (7, senders[2]));
    }

    private static void GoOn(PeerProcess receiver, params PeerProcess[] senders)
    {
        foreach (PeerProcess sender in senders) sender.WaitFor("ready");
        long down = Stopwatch.GetTimestamp();
        int[] before = [.. senders.Select((_, i) => Got(receiver, i + 1).Count)];
        Watchdog.Until(() => senders.Select((_, i) => Got(receiver, i + 1).Count - before[i]).Min() >= 20, "the others to go on (I5)");
        Assert.That(Stopwatch.GetElapsedTime(down), Is.LessThan(Watchdog.Recovery), "I5: the others were held up");
    }

    private static void CheckOrder(PeerProcess receiver, params (int Number, PeerProcess Process)[] senders)
    {
        Assert.That(receiver.Lines.Where(line => line.StartsWith("torn", StringComparison.Ordinal)), Is.Empty);
        foreach ((int number, PeerProcess process) in senders)
            Assert.That(Got(receiver, number), Is.EqualTo(Enumerable.Range(0, Numbers(process, "sent").Count)), $"sender {number}");
    }

    private static List<int> Got(PeerProcess receiver, int sender) => Numbers(receiver, $"got {sender}");

    private static List<int> Numbers(PeerProcess peer, string beginning) =>
        [.. peer.Lines.Where(line => line.StartsWith(beginning + " ", StringComparison.Ordinal)).Select(
            line => int.Parse(line[(beginning.Length + 1)..].Split(' ')[0], CultureInfo.InvariantCulture))];
}
