using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Doorbells;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Streams;

namespace Otto.Ipc.Mmap.Tests.Platform;

// Processes on a kernel without futex_waitv, membarrier and memfd_create, alone and beside others that have them. The second answer is
// that of an older container profile.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class OldKernelTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Messages_of_a_killed_worker_are_done_by_another_none_lost_and_none_twice(
        [Values(OldKernel.NotKnown, OldKernel.NotPermitted)] int error, [Values("complete", "async")] string mode)
    {
        using PeerProcess victim = Start(error, "queue-hold", "jobs", "20");
        victim.WaitFor("ready");
        using PeerProcess sender = Start(error, "queue-send", "jobs", "1", "200");
        victim.WaitFor("holding");
        using PeerProcess heir = Start(error, "queue-work", "jobs", mode);
        heir.WaitFor("ready");

        victim.Kill();

        for (int i = 0; i < 200; i++) heir.WaitFor($"done 1:{i}");
        Finish(sender);
        Finish(heir);
        string[][] said = [.. heir.Lines.Select(static line => line.Split(' '))];
        Assert.That(said.Where(static words => words[0] == "done").Select(static words => words[1]), Is.Unique);
        Assert.That(said.Count(static words => words[0] == "lease" && words[2] == "2"), Is.EqualTo(20));
    }

    [Test]
    public void A_sleeping_worker_wakes_for_each_message([Values(OldKernel.NotKnown, OldKernel.NotPermitted)] int error,
        [Values("complete", "async")] string mode)
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        using PeerProcess worker = Start(error, "queue-work", "jobs", mode);
        worker.WaitFor("ready");
        for (int i = 0; i < 50; i++)
        {
            Assert.That(queue.TrySend(Payload.Make(1, i, 40)), Is.True);
            worker.WaitFor($"done 1:{i}");
        }

        Finish(worker);
    }

    [Test]
    public void A_stream_wakes_its_receiver_whichever_end_is_old([Values(OldKernel.NotKnown, OldKernel.NotPermitted)] int error,
        [Values] bool oldSender, [Values] bool oldReceiver)
    {
        using PeerProcess receiver = oldReceiver ? Start(error, "stream-receive", "frames") : _workspace.Start("stream-receive", "frames");
        receiver.WaitFor("ready");
        using PeerProcess sender = oldSender ? Start(error, "stream-send", "frames", "0", "200")
            : _workspace.Start("stream-send", "frames", "0", "200");
        for (int i = 0; i < 300; i++) receiver.WaitFor($"got {i}"); // From 200 on one at a time: the receiver sleeps between them.
        Finish(sender);
        Finish(receiver);
    }

    [Test]
    public void A_topic_wakes_its_subscriber_and_holds_its_publisher([Values(OldKernel.NotKnown, OldKernel.NotPermitted)] int error,
        [Values] bool oldPublisher)
    {
        using PeerProcess subscriber = oldPublisher ? _workspace.Start("news-hear", "news", "Block")
            : Start(error, "news-hear", "news", "Block");
        subscriber.WaitFor("ready");
        using PeerProcess publisher = oldPublisher ? Start(error, "news-publish", "news", "1", "200", "Block")
            : _workspace.Start("news-publish", "news", "1", "200", "Block");
        for (int i = 0; i < 220; i++) subscriber.WaitFor($"got 1 {i} 0");
        Finish(publisher);
        Finish(subscriber);
    }

    [Test]
    public void A_waiter_whose_barrier_is_refused_does_not_let_others_rely_on_it(
        [Values(OldKernel.NotKnown, OldKernel.NotPermitted)] int error)
    {
        SegmentFile segment = Bell("old");
        using (PeerProcess receiver = Start(error, "stream-receive", "old"))
        {
            receiver.WaitFor("ready");
            Watchdog.Until(() => (Word(segment) & Doorbell.Waiting) != 0, "the receiver to announce itself");
            // It announces itself again for each of its short sleeps.
            for (int i = 0; i < 100; i++)
            {
                Assert.That(Word(segment) & Doorbell.Fencing, Is.Zero, "another waiter would pass no barrier of its own");
                Thread.Yield();
            }

            receiver.Kill();
        }

        segment.Close();
        SegmentFile other = Bell("new");
        using PeerProcess able = _workspace.Start("stream-receive", "new");
        able.WaitFor("ready");
        Watchdog.Until(() => (Word(other) & Doorbell.Fencing) != 0, "a receiver whose barrier works to announce that");
        able.Kill();
        other.Close();
    }

    private PeerProcess Start(int error, params string[] arguments) => _workspace.StartIn(OldKernel.WithoutAny(error), arguments);

    private SegmentFile Bell(string name) => SegmentFile.OpenOrCreate(_workspace.Directory, name,
        new StreamSpec(new MmapStreamOptions { Capacity = 4096, MaxSenders = 1 }));

    private static int Word(SegmentFile segment) => Volatile.Read(ref segment.Mapping.Int(RingLayout.ReceiverBell(segment.Plan)));

    private static void Finish(PeerProcess peer)
    {
        peer.Say("finish");
        Assert.That(peer.WaitForExit(), Is.Zero, peer.Errors);
    }
}
