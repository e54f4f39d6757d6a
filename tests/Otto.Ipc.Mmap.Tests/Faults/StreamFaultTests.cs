using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Faults;

// A stream has one sender and one receiver. When one of them dies, a successor takes its place; when one stops, the other waits, and
// neither may see anything that was not committed.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class StreamFaultTests
{
    private const string Name = "frames";
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    // Odd hits are sends, even ones reservations; the later ones lie behind the end of the ring.
    [Test]
    public void A_sender_killed_there_leaves_the_ring_readable_and_its_successor_continues(
        [Values("stream.publish.payload", "stream.publish.frame", "stream.publish.tail")] string point, [Values(1, 2, 60, 61)] int hit)
    {
        using PeerProcess receiver = _workspace.Start("stream-receive", Name);
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:{hit}:KILL")], "stream-send", Name, "0", "100");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        int intended = Last(victim, "intent");
        Assert.That(intended, Is.EqualTo(hit - 1));
        using PeerProcess successor = _workspace.Start("stream-send", Name, "1000", "-50");
        successor.Say("finish");
        Assert.That((successor.WaitForExit(), receiver.WaitForExit()), Is.EqualTo((0, 0)), successor.Errors + receiver.Errors);
        int committed = point == "stream.publish.tail" ? intended + 1 : intended;
        Assert.That(Got(receiver), Is.EqualTo(Enumerable.Range(0, committed).Concat(Enumerable.Range(1000, 50))));
    }

    [Test]
    public void A_sender_stopped_there_finishes_when_it_is_continued(
        [Values("stream.publish.payload", "stream.publish.frame", "stream.publish.tail", "stream.complete.before")] string point)
    {
        using PeerProcess receiver = _workspace.Start("stream-receive", Name);
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:1:STOP")], "stream-send", Name, "0", "-50");
        victim.Say("finish");
        Watchdog.Until(() => victim.IsStopped, "the sender to stop");
        int committed = point switch { "stream.publish.tail" => 1, "stream.complete.before" => 50, _ => 0 };
        Watchdog.Until(() => Got(receiver).Count == committed, "what was committed");
        using (PeerProcess second = _workspace.Start("stream-send", Name, "0", "1"))
        {
            Assert.That(second.WaitForExit(), Is.Not.Zero, "a stopped sender is alive, and its place is taken");
            Assert.That(second.Errors, Does.Contain("has a sender already"));
        }

        victim.Signal(18);
        Assert.That((victim.WaitForExit(), receiver.WaitForExit()), Is.EqualTo((0, 0)), victim.Errors + receiver.Errors);
        Assert.That(Got(receiver), Is.EqualTo(Enumerable.Range(0, 50)));
    }

    [Test]
    public void A_receiver_killed_there_loses_nothing_to_its_successor(
        [Values("stream.consume.before", "stream.consume.head")] string point, [Values(1, 40)] int hit)
    {
        using PeerProcess sender = _workspace.Start("stream-send", Name, "0", "-200");
        sender.Say("finish");
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:{hit}:KILL")], "stream-receive", Name);
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        using PeerProcess successor = _workspace.Start("stream-receive", Name);
        Assert.That((sender.WaitForExit(), successor.WaitForExit()), Is.EqualTo((0, 0)), sender.Errors + successor.Errors);
        List<int> first = Got(victim), second = Got(successor);
        Assert.That(first, Is.EqualTo(Enumerable.Range(0, first.Count)));
        Assert.That(second, Is.EqualTo(Enumerable.Range(second[0], 200 - second[0])));
        // Between the two nothing is missing, and at most the frame in hand is read again.
        Assert.That(second[0],
            Is.EqualTo(point == "stream.consume.before" && first.Count != Numbers(victim, "read").Count ? first[^1] : first[^1] + 1));
    }

    [Test]
    public void A_receiver_stopped_there_finishes_when_it_is_continued(
        [Values("stream.consume.before", "stream.consume.head")] string point)
    {
        using PeerProcess sender = _workspace.Start("stream-send", Name, "0", "-200");
        sender.Say("finish");
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:20:STOP")], "stream-receive", Name);
        Watchdog.Until(() => victim.IsStopped, "the receiver to stop");
        Assert.That(sender.HasExited, Is.False, "a bounded stream is full now: that is the exception which I5 makes");
        victim.Signal(18);
        Assert.That((sender.WaitForExit(), victim.WaitForExit()), Is.EqualTo((0, 0)), sender.Errors + victim.Errors);
        Assert.That(Got(victim), Is.EqualTo(Enumerable.Range(0, 200)));
    }

    [Test]
    public void A_planted_tail_before_its_frame_is_caught()
    {
        using PeerProcess receiver = _workspace.Start("stream-receive", Name);
        receiver.WaitFor("ready");
        using PeerProcess victim = _workspace.StartWith(
            [("OTTO_FAULT_AT", "stream.publish.payload:61:KILL"), ("OTTO_FAULT_PLANT", "stream.publish.tail-first")], "stream-send", Name,
            "0", "100");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        // It sees a torn frame, an old one, or bytes that are no frame at all.
        Watchdog.Until(() => receiver.HasExited || !Whole(receiver), "the receiver to see what was never sent");
        receiver.Dispose();
    }

    /// <summary>Whether a receiver saw only messages that were sent, in their order.</summary>
    private static bool Whole(PeerProcess peer)
    {
        string[] said = [.. peer.Lines.Where(line => !line.StartsWith("read", StringComparison.Ordinal)).Skip(1).Select(
            line => line.Split('@')[0].TrimEnd())];
        return said.SequenceEqual(Enumerable.Range(0, said.Length).Select(i => $"got {i}")) && said.Length <= 60;
    }

    private static List<int> Got(PeerProcess peer) => Numbers(peer, "got");

    private static int Last(PeerProcess peer, string verb) => Numbers(peer, verb)[^1];

    private static List<int> Numbers(PeerProcess peer, string verb)
    {
        Assert.That(peer.Lines.Where(line => line.StartsWith("torn", StringComparison.Ordinal) && verb == "got"), Is.Empty);
        return [.. peer.Lines.Where(line => line.StartsWith(verb + " ", StringComparison.Ordinal)).Select(
            line => int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture))];
    }
}
