using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Streams;
using Otto.Ipc.Mmap.Topics;

namespace Otto.Ipc.Mmap.Tests.Faults;

// A signaller that dies between publishing and waking has told nobody. Whoever sleeps must find out by itself, within two seconds.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class DoorbellFaultTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_worker_wakes_although_its_senders_wake_up_never_came(
        [Values("queue.fill.pushed", "doorbell.ring.word")] string point, [Values("KILL", "STOP")] string signal,
            [Values("complete", "async")] string mode)
    {
        MmapQueueOptions options = QueueScenario.Options;
        _workspace.Transport.OpenQueue(QueueScenario.Name, options).Dispose();
        using PeerProcess worker = _workspace.Start("queue-work", QueueScenario.Name, mode);
        worker.WaitFor("ready");
        AwaitWaiter(_workspace.PathOf(QueueScenario.Name, SegmentShape.Queue), new QueueSpec(options).NewPlan().Control(4));
        using PeerProcess sender =
            _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:1:{signal}")], "queue-send", QueueScenario.Name, "1", "1");
        Watchdog.Until(() => sender.HasExited || sender.IsStopped, "the sender to go down");
        long down = Stopwatch.GetTimestamp();
        worker.WaitFor("done 1:0");
        Assert.That(Stopwatch.GetElapsedTime(down), Is.LessThan(Watchdog.Recovery));
        Finish(sender, worker, signal);
    }

    [Test]
    public void A_sender_wakes_although_its_workers_wake_up_never_came(
        [Values("queue.end.pushed", "doorbell.ring.word")] string point, [Values("KILL", "STOP")] string signal)
    {
        MmapQueueOptions options = QueueScenario.Options;
        using (WorkQueue queue = _workspace.Transport.OpenQueue(QueueScenario.Name, options))
        {
            for (int i = 0; i < QueueScenario.Slots; i++) queue.TrySend(Payload.Make(9, i, 20));
        }

        using PeerProcess sender = _workspace.Start("queue-send", QueueScenario.Name, "1", "1");
        sender.WaitFor("intent 1:0");
        AwaitWaiter(_workspace.PathOf(QueueScenario.Name, SegmentShape.Queue), new QueueSpec(options).NewPlan().Control(5));
        using PeerProcess worker = _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:1:{signal}")], "queue-work", QueueScenario.Name);
        Watchdog.Until(() => worker.HasExited || worker.IsStopped, "the worker to go down");
        long down = Stopwatch.GetTimestamp();
        sender.WaitFor("sent 1:0");
        Assert.That(Stopwatch.GetElapsedTime(down), Is.LessThan(Watchdog.Recovery));
        using PeerProcess relief = _workspace.Start("queue-work", QueueScenario.Name);
        Finish(worker, sender, signal);
        relief.Say("finish");
        Assert.That(relief.WaitForExit(), Is.Zero, relief.Errors);
    }

    [Test]
    public void A_receiver_wakes_although_its_senders_wake_up_never_came(
        [Values("stream.publish.tail", "doorbell.ring.word")] string point, [Values("KILL", "STOP")] string signal)
    {
        using PeerProcess receiver = _workspace.Start("stream-receive", "frames");
        receiver.WaitFor("ready");
        AwaitWaiter(_workspace.PathOf("frames", SegmentShape.Stream),
            RingLayout.ReceiverBell(new StreamSpec(new MmapStreamOptions { Capacity = 4096 }).NewPlan()));
        using PeerProcess sender = _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:1:{signal}")], "stream-send", "frames", "0", "1");
        Watchdog.Until(() => sender.HasExited || sender.IsStopped, "the sender to go down");
        long down = Stopwatch.GetTimestamp();
        receiver.WaitFor("got 0");
        Assert.That(Stopwatch.GetElapsedTime(down), Is.LessThan(Watchdog.Recovery));
        Finish(sender, receiver, signal);
    }

    [Test]
    public void A_subscriber_wakes_although_its_publishers_wake_up_never_came(
        [Values("topic.publish.tail", "doorbell.ring.word")] string point, [Values("KILL", "STOP")] string signal,
            [Values] SlowSubscriberPolicy policy)
    {
        using PeerProcess subscriber = _workspace.Start("news-hear", "news", $"{policy}");
        subscriber.WaitFor("ready");
        SegmentPlan plan = new TopicSpec(
            new MmapTopicOptions { Capacity = 4096, MaxPublishers = 3, MaxSubscribers = 4, Policy = policy }).NewPlan();
        AwaitWaiter(_workspace.PathOf("news", SegmentShape.Topic), TopicLayout.SubscribersBell(plan));
        using PeerProcess publisher =
            _workspace.StartWith([("OTTO_FAULT_AT", $"{point}:1:{signal}")], "news-publish", "news", "1", "1", $"{policy}");
        Watchdog.Until(() => publisher.HasExited || publisher.IsStopped, "the publisher to go down");
        long down = Stopwatch.GetTimestamp();
        subscriber.WaitFor("got 1 0");
        Assert.That(Stopwatch.GetElapsedTime(down), Is.LessThan(Watchdog.Recovery));
        Finish(publisher, subscriber, signal);
    }

    private static void Finish(PeerProcess victim, PeerProcess other, string signal)
    {
        victim.Signal(18);
        victim.Say("finish");
        Assert.That(victim.WaitForExit(), Is.EqualTo(signal == "KILL" ? 137 : 0), victim.Errors);
        other.Say("finish");
        Assert.That(other.WaitForExit(), Is.Zero, other.Errors);
    }

    /// <summary>Waits until somebody announced that it waits, by the bit in the file.</summary>
    private static void AwaitWaiter(string path, long bell)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        byte[] word = new byte[4];
        Watchdog.Until(
            () =>
            {
                file.Position = bell;
                file.ReadExactly(word);
                return (word[0] & 1) != 0;
            },
            "somebody to wait");
    }
}
