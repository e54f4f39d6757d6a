using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Faults;

// Publishers and subscribers of a topic are killed or stopped at each step. Nobody hears anything torn, half, twice or out of order; heard
// and lost together are what was published; and whoever is left goes on within two seconds.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class TopicFaultTests
{
    // What is announced is a sixteenth of the ring, so these points are met less often than once a message.
    private static readonly (string Point, int Hit, bool Publishes)[] PublisherPoints =
    [
        ("lane.before", 1, false),
        ("lane.announced", 1, false),
        ("join.locked", 1, false),
        ("join.described", 1, false),
        ("topic.publish.announce", 20, false),
        ("topic.publish.oldest", 20, false),
        ("topic.publish.intent", 20, false),
        ("topic.publish.payload", 60, false),
        ("topic.publish.frame", 60, false),
        ("topic.publish.tail", 60, true),
    ];

    // A subscriber tells its position in each of three lanes before it enters; the later hits are while it reads.
    private static readonly (string Point, int Hit)[] SubscriberPoints =
    [
        ("join.locked", 1),
        ("join.described", 1),
        ("topic.read.before", 2),
        ("topic.read.position", 2),
        ("topic.enter.positions", 1),
        ("topic.enter.place", 1),
        ("topic.read.header", 25),
        ("topic.read.copied", 25),
        ("topic.read.before", 12),
        ("topic.read.position", 12),
    ];

    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_publisher_killed_there_leaves_no_partial_message_and_its_successor_continues([Values] SlowSubscriberPolicy policy,
        [Range(0, 9)] int point)
    {
        (string name, int hit, bool publishes) = PublisherPoints[point];
        using TopicProcesses room = new(_workspace, policy);
        PeerProcess subscriber = room.Subscriber(), other = room.Publisher(1);
        PeerProcess victim = room.Victim($"{name}:{hit}:KILL", "news-publish", "news", "2", "80", $"{policy}");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        room.MustGoOn(other, subscriber);
        PeerProcess successor = room.Publisher(3);
        room.MustGoOn(successor, subscriber);
        TopicProcesses.Finish(other, successor);
        TopicProcesses.Finish(subscriber);
        room.CheckSum(subscriber,
            new() { [1] = TopicProcesses.Sent(other), [2] = TopicProcesses.Sent(victim) + (publishes ? 1 : 0),
                [3] = TopicProcesses.Sent(successor) });
    }

    [Test]
    public void A_publisher_stopped_there_blocks_no_other_and_finishes_later([Values] SlowSubscriberPolicy policy, [Range(0, 9)] int point)
    {
        (string name, int hit, _) = PublisherPoints[point];
        using TopicProcesses room = new(_workspace, policy);
        PeerProcess subscriber = room.Subscriber(), other = room.Publisher(1);
        PeerProcess victim = room.Victim($"{name}:{hit}:STOP", "news-publish", "news", "2", "80", $"{policy}");
        Watchdog.Until(() => victim.IsStopped, "the publisher to stop");
        room.MustGoOn(other, subscriber);
        PeerProcess late = room.Publisher(3);
        room.MustGoOn(late, subscriber);
        victim.Signal(18);
        TopicProcesses.Finish(victim, other, late);
        TopicProcesses.Finish(subscriber);
        room.CheckSum(subscriber,
            new() { [1] = TopicProcesses.Sent(other), [2] = TopicProcesses.Sent(victim), [3] = TopicProcesses.Sent(late) });
    }

    [TestCaseSource(nameof(SubscriberCases))]
    public void A_subscriber_killed_there_blocks_no_publisher_for_longer_than_two_seconds(SlowSubscriberPolicy policy, string name, int hit)
    {
        using TopicProcesses room = new(_workspace, policy);
        PeerProcess subscriber = room.Subscriber(), publisher = room.Publisher(1);
        PeerProcess victim = room.Victim($"{name}:{hit}:KILL", "news-hear", "news", $"{policy}");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        room.MustGoOn(publisher, subscriber);
        TopicProcesses.Finish(publisher);
        TopicProcesses.Finish(subscriber);
        room.CheckSum(subscriber, new() { [1] = TopicProcesses.Sent(publisher) });
        TopicProcesses.CheckOrder(victim);
    }

    [TestCaseSource(nameof(SubscriberCasesThatHoldNobody))]
    public void A_subscriber_stopped_there_learns_what_it_lost_when_it_continues(SlowSubscriberPolicy policy, string name, int hit)
    {
        using TopicProcesses room = new(_workspace, policy);
        PeerProcess subscriber = room.Subscriber();
        PeerProcess victim = room.Victim($"{name}:{hit}:STOP", "news-hear", "news", $"{policy}");
        // Before it entered it has lost nothing by the rules, however much went by; later its sum has to be right.
        bool entered = name.StartsWith("topic.read", StringComparison.Ordinal) && hit > 2;
        if (entered) victim.WaitFor("ready");
        else Watchdog.Until(() => victim.IsStopped, "the subscriber to stop");
        PeerProcess publisher = room.Publisher(1);
        Watchdog.Until(() => victim.IsStopped, "the subscriber to stop");
        room.MustGoOn(publisher, subscriber, messages: 200);
        victim.Signal(18);
        TopicProcesses.Finish(publisher);
        TopicProcesses.Finish(subscriber, victim);
        room.CheckSum(subscriber, new() { [1] = TopicProcesses.Sent(publisher) });
        TopicProcesses.CheckOrder(victim);
        if (!entered) return;
        room.CheckSum(victim, new() { [1] = TopicProcesses.Sent(publisher) });
        Assert.That(TopicProcesses.Lost(victim), Is.Positive, "two hundred messages do not fit");
        Assert.That(victim.Lines.Any(line => line.StartsWith("ejected", StringComparison.Ordinal)),
            Is.EqualTo(policy == SlowSubscriberPolicy.Disconnect));
    }

    [Test]
    public void Under_Block_a_stopped_subscriber_holds_its_publisher_and_nothing_is_lost(
        [Values("topic.read.header", "topic.read.copied")] string point)
    {
        using TopicProcesses room = new(_workspace, SlowSubscriberPolicy.Block);
        PeerProcess subscriber = room.Subscriber();
        PeerProcess victim = room.Victim($"{point}:25:STOP", "news-hear", "news", "Block");
        victim.WaitFor("ready");
        PeerProcess publisher = room.Publisher(1);
        Watchdog.Until(() => victim.IsStopped, "the subscriber to stop");
        // Held: it said what it means to publish, and has not published it though everybody else has read all.
        Watchdog.Until(
            () => TopicProcesses.Sent(publisher) is var sent && TopicProcesses.Heard(subscriber, 1).Count == sent
            && publisher.Lines.Any(line => line.StartsWith($"intent {sent} ", StringComparison.Ordinal)),
            "the publisher to be held");
        Assert.That(TopicProcesses.Sent(publisher), Is.LessThan(25 + 4096 / 32), "that is the exception which I5 makes");
        victim.Signal(18);
        room.MustGoOn(publisher, subscriber);
        TopicProcesses.Finish(publisher);
        TopicProcesses.Finish(subscriber, victim);
        foreach (PeerProcess hearer in (PeerProcess[])[subscriber, victim])
        {
            room.CheckSum(hearer, new() { [1] = TopicProcesses.Sent(publisher) });
            Assert.That(TopicProcesses.Lost(hearer), Is.Zero);
        }
    }

    [Test]
    public void A_publisher_that_dies_or_stops_while_it_ejects_leaves_the_topic_to_the_others(
        [Values("topic.eject.before", "topic.eject.place")] string point, [Values("KILL", "STOP")] string signal)
    {
        using TopicProcesses room = new(_workspace, SlowSubscriberPolicy.Disconnect);
        PeerProcess slow = room.Subscriber();
        slow.Signal(19);
        Watchdog.Until(() => slow.IsStopped, "the slow subscriber to stop");
        PeerProcess victim = room.Victim($"{point}:1:{signal}", "news-publish", "news", "2", "80", "Disconnect");
        Watchdog.Until(() => victim.HasExited || victim.IsStopped, "the publisher to go down");
        PeerProcess subscriber = room.Subscriber(), other = room.Publisher(1);
        room.MustGoOn(other, subscriber);
        slow.Signal(18);
        victim.Signal(18);
        if (signal == "STOP") TopicProcesses.Finish(victim);
        else Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        TopicProcesses.Finish(other);
        TopicProcesses.Finish(slow, subscriber);
        room.CheckSum(slow, new() { [1] = TopicProcesses.Sent(other), [2] = TopicProcesses.Sent(victim) });
        TopicProcesses.CheckOrder(subscriber);
    }

    [Test]
    public void A_subscriber_killed_while_it_leaves_blocks_no_publisher(
        [Values("topic.leave.before", "topic.leave.place", "leave.roles")] string point)
    {
        using TopicProcesses room = new(_workspace, SlowSubscriberPolicy.Block);
        PeerProcess subscriber = room.Subscriber(), publisher = room.Publisher(1);
        PeerProcess victim = room.Victim($"{point}:1:KILL", "news-hear", "news", "Block");
        victim.WaitFor("ready");
        victim.Say("finish");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        room.MustGoOn(publisher, subscriber);
        TopicProcesses.Finish(publisher);
        TopicProcesses.Finish(subscriber);
        room.CheckSum(subscriber, new() { [1] = TopicProcesses.Sent(publisher) });
        Assert.That(TopicProcesses.Lost(subscriber), Is.Zero);
    }

    [Test]
    public void A_planted_write_without_its_intent_is_caught()
    {
        using TopicProcesses room = new(_workspace, SlowSubscriberPolicy.Overwrite);
        PeerProcess victim = room.Victim("topic.read.header:1:STOP", "news-hear", "news", "Overwrite");
        victim.WaitFor("ready");
        // One message: the subscriber has read how long it is and stops before it copies it.
        TopicProcesses.Finish(room.Start([], "news-publish", "news", "1", "-1", "Overwrite"));
        Watchdog.Until(() => victim.IsStopped, "the subscriber to stop");
        PeerProcess publisher =
            room.Start([("OTTO_FAULT_AT", "nowhere:1:KILL"), ("OTTO_FAULT_PLANT", "topic.publish.intent-forgotten")], "news-publish",
                "news", "2", "200", "Overwrite");
        Watchdog.Until(() => TopicProcesses.Sent(publisher) > 300, "the ring to be written over");
        victim.Signal(18);
        // It copies new bytes and takes them for the old message, since no intent says that they may have changed.
        Watchdog.Until(() => TopicProcesses.Problem(victim) is not null, "the checker to see it");
        Assert.That(TopicProcesses.Problem(victim), Does.StartWith("torn"));
        victim.Kill();
        TopicProcesses.Finish(publisher);
    }

    private static IEnumerable<object[]> SubscriberCases() =>
        from policy in Enum.GetValues<SlowSubscriberPolicy>()
        from at in SubscriberPoints
        where policy != SlowSubscriberPolicy.Overwrite || !IsOfPlace(at.Point)
        select new object[] { policy, at.Point, at.Hit };

    private static IEnumerable<object[]> SubscriberCasesThatHoldNobody() =>
        SubscriberCases().Where(@case => (SlowSubscriberPolicy)@case[0] != SlowSubscriberPolicy.Block);

    /// <summary>Under Overwrite a subscriber has no place and tells no position.</summary>
    private static bool IsOfPlace(string point) =>
        point is "topic.read.before" or "topic.read.position" or "topic.enter.positions" or "topic.enter.place";
}
