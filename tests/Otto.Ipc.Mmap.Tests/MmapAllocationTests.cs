using System.Diagnostics;
using System.Reflection;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Queues;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Mmap.Streams;
using Otto.Ipc.Mmap.Topics;

namespace Otto.Ipc.Mmap.Tests;

// A message costs no allocation, and while both ends are awake no system call: the doorbells stay untouched.

[TestFixture]
[NonParallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class MmapAllocationTests
{
    private const int Rounds = 20_000;
    private static readonly byte[] Message = new byte[200];
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_message_through_a_stream_allocates_nothing()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 1 << 16 });
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        byte[] buffer = new byte[Message.Length];
        AllocatesNothing(() =>
        {
            Must(sender.TrySend(Message));
            Must(sender.TryReserve(Message.Length, out WriteSlot slot));
            slot.Commit(100);
            Must(sender.WaitToSend(Message.Length, Timeout.InfiniteTimeSpan));
            Ready(sender.SendAsync(Message));
            Must(receiver.WaitToReceive(Timeout.InfiniteTimeSpan));
            Must(receiver.TryReceive(out ReadLease lease));
            lease.Dispose();
            Must(receiver.TryReceive(buffer, out _));
            Must(receiver.TryReceive(buffer, out _));
            Must(!receiver.TryReceive(out _));
        });
    }

    [Test]
    public void A_message_through_a_topic_allocates_nothing([Values] SlowSubscriberPolicy policy)
    {
        using MessagePublisher publisher =
            _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Capacity = 1 << 16, Policy = policy });
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news");
        AllocatesNothing(() =>
        {
            Must(publisher.TryPublish(Message));
            Must(publisher.TryReserve(Message.Length, out WriteSlot slot));
            slot.Commit(100);
            Must(publisher.WaitToPublish(Message.Length, Timeout.InfiniteTimeSpan));
            Must(subscriber.WaitToReceive(Timeout.InfiniteTimeSpan));
            for (int i = 0; i < 2; i++)
            {
                Must(subscriber.TryReceive(out TopicFrame message));
                Must(message.Bytes.Length >= 100 && message.Lost == 0);
            }

            Must(!subscriber.TryReceive(out _));
        });
    }

    private readonly WorkLease[] _batch = new WorkLease[4];

    [Test]
    public void A_message_through_a_queue_allocates_nothing()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", QueueOptions);
        AllocatesNothing(() =>
        {
            Must(queue.TrySend(Message));
            Must(queue.TryReserve(Message.Length, out WriteSlot slot));
            slot.Commit(100);
            Must(queue.WaitToSend(Timeout.InfiniteTimeSpan));
            Must(queue.WaitToLease(Timeout.InfiniteTimeSpan));
            Must(queue.TrySendAndLease(Message, out WorkLease kept));
            Must(kept.Complete());
            Must(queue.TryLease(out WorkLease lease));
            Must(lease.Abandon(countAttempt: false));
            for (int i = 0; i < 2; i++)
            {
                Must(queue.TryLease(out lease));
                Must(lease.Payload.Span.Length > 0);
                Must(lease.Complete());
            }

            Must(queue.TrySend(Message, TimeSpan.Zero, out WorkId id));
            Must(queue.Cancel(id));
            Must(queue.TrySend(Message, TimeSpan.FromHours(1), out id));
            Must(queue.Cancel(id));
            Must(queue.TrySend(Message));
            Must(queue.LeaseBatch(_batch) == 1);
            Must(queue.CompleteBatch(_batch) == 1);
            Must(queue.OtherConsumers == 0);
            Must(!queue.TryLease(out _));
        });
    }

    [Test]
    public void A_block_handed_over_allocates_nothing_once_it_was_mapped()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", QueueOptions);
        using MessageSender sender = _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 4096 });
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        AllocatesNothing(() =>
        {
            Must(queue.TryLoan(100_000, out Loan loan));
            loan.Span[0] = 1;
            Must(queue.TrySend(loan, 100_000));
            Must(queue.TryLease(out WorkLease lease));
            Must(lease.Payload.Span.Length == 100_000);
            Must(lease.Complete());
            Must(sender.TryLoan(100_000, out loan));
            Must(sender.TrySend(loan, 100_000));
            Must(receiver.TryReceive(out ReadLease read));
            Must(read.Bytes.Length == 100_000);
            read.Dispose();
            Must(queue.TryLoan(100, out loan));
            loan.Dispose();
        });
    }

    [Test]
    public void Asynchronous_calls_that_need_not_wait_allocate_nothing()
    {
        // Without optimisation the compiler makes an object of every asynchronous call.
        if (typeof(MmapTransport).Assembly.GetCustomAttribute<DebuggableAttribute>() is { IsJITOptimizerDisabled: true })
            Assert.Ignore("the library was built without optimisation: build it with -c Release");
        using MessageSender sender = _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 1 << 16 });
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", QueueOptions);
        using MessagePublisher publisher =
            _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Capacity = 1 << 16, Policy = SlowSubscriberPolicy.Block });
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news");
        AllocatesNothing(() =>
        {
            Ready(publisher.WaitToPublishAsync(Message.Length));
            Ready(publisher.PublishAsync(Message));
            Ready(subscriber.WaitToReceiveAsync());
            Must(subscriber.TryReceive(out TopicFrame heard) && heard.Bytes.Length == Message.Length);
            Ready(sender.WaitToSendAsync(Message.Length));
            Ready(sender.SendAsync(Message));
            Must(Ready(receiver.WaitToReceiveAsync()));
            Must(receiver.TryReceive(out ReadLease read));
            read.Dispose();
            Ready(queue.WaitToSendAsync());
            Ready(queue.SendAsync(Message));
            Ready(queue.WaitToLeaseAsync());
            Must(Ready(queue.LeaseAsync()).Complete());
        });
    }

    [Test]
    public void Waiting_for_a_message_allocates_nothing_per_message()
    {
        using MessageSender sender =
            _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 1 << 16, SpinLimit = TimeSpan.Zero });
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames", new MmapStreamOptions { SpinLimit = TimeSpan.Zero });
        long allocated = -1;
        Task receiving = Watchdog.RunOnThread(() =>
        {
            for (int i = 0; i < 2_000; i++)
            {
                if (i == 1_000) allocated = GC.GetAllocatedBytesForCurrentThread();
                ReadLease lease;
                while (!receiver.TryReceive(out lease)) receiver.WaitToReceive(Timeout.InfiniteTimeSpan);
                lease.Dispose();
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        });
        for (int i = 0; i < 2_000; i++)
        {
            Must(sender.TrySend(Message));
            // Half the ring: so large a message has room only once nearly all was read, so both ends sleep by turns.
            Must(sender.WaitToSend(sender.MaxMessageBytes, Watchdog.Limit));
        }

        Assert.That(receiving.Wait(Watchdog.Limit), Is.True);
        Assert.That(allocated, Is.Zero);
    }

    [Test]
    public void Waiting_for_a_topic_message_allocates_nothing_per_message()
    {
        var options = new MmapTopicOptions { Capacity = 4096, Policy = SlowSubscriberPolicy.Block, SpinLimit = TimeSpan.Zero };
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news", options);
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news", options);
        long allocated = -1;
        Task hearing = Watchdog.RunOnThread(() =>
        {
            for (int i = 0; i < 4_000; i++)
            {
                if (i == 2_000) allocated = GC.GetAllocatedBytesForCurrentThread();
                while (!subscriber.TryReceive(out _)) subscriber.WaitToReceive(Timeout.InfiniteTimeSpan);
            }

            allocated = GC.GetAllocatedBytesForCurrentThread() - allocated;
        });
        for (int i = 0; i < 4_000; i++)
        {
            // Held every few messages, so both ends sleep by turns.
            while (!publisher.TryPublish(Message)) Must(publisher.WaitToPublish(Message.Length, Watchdog.Limit));
        }

        Assert.That(hearing.Wait(Watchdog.Limit), Is.True);
        Assert.That(allocated, Is.Zero);
    }

    [Test]
    public void While_both_ends_are_awake_no_doorbell_is_touched()
    {
        var streamOptions = new MmapStreamOptions { Capacity = 4096 };
        SegmentPlan stream = new StreamSpec(streamOptions).NewPlan(), queue = new QueueSpec(QueueOptions).NewPlan();
        using MessageSender sender = _workspace.Transport.OpenSender("frames", streamOptions);
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        using WorkQueue jobs = _workspace.Transport.OpenQueue("jobs", QueueOptions);
        var topicOptions = new MmapTopicOptions { Capacity = 4096, Policy = SlowSubscriberPolicy.Block };
        SegmentPlan topic = new TopicSpec(topicOptions).NewPlan();
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news", topicOptions);
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news");
        for (int i = 0; i < Rounds; i++)
        {
            Must(sender.TrySend(Message));
            Must(receiver.TryReceive(out ReadLease read));
            read.Dispose();
            Must(jobs.TrySend(Message));
            Must(jobs.TryLease(out WorkLease lease) && lease.Complete());
            Must(publisher.TryPublish(Message) && subscriber.TryReceive(out _));
        }

        Assert.That(Word("frames", SegmentShape.Stream, RingLayout.ReceiverBell(stream)), Is.Zero);
        Assert.That(Word("frames", SegmentShape.Stream, RingLayout.Lane(stream, 0).SenderBell), Is.Zero);
        Assert.That(Word("news", SegmentShape.Topic, TopicLayout.SubscribersBell(topic)), Is.Zero);
        Assert.That(Word("news", SegmentShape.Topic, TopicLayout.Lane(topic, 0).PublisherBell), Is.Zero);
        Assert.That(Word("jobs", SegmentShape.Queue, queue.Control(4)), Is.Zero);
        Assert.That(Word("jobs", SegmentShape.Queue, queue.Control(5)), Is.Zero);
    }

    private static MmapQueueOptions QueueOptions => new() { Slots = 16, SlotBytes = 256 };

    private int Word(string name, SegmentShape shape, long offset)
    {
        byte[] word = new byte[4];
        using var file = new FileStream(_workspace.PathOf(name, shape), FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        file.Position = offset;
        file.ReadExactly(word);
        return BitConverter.ToInt32(word);
    }

    private static void AllocatesNothing(Action round)
    {
        for (int i = 0; i < 2_000; i++) round();
        Thread.Yield();
        long least = long.MaxValue;
        // The runtime recompiles hot methods beside a first run; a message that allocates would do so in each.
        for (int run = 0; run < 5 && least != 0; run++)
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int i = 0; i < Rounds; i++) round();
            least = Math.Min(least, GC.GetAllocatedBytesForCurrentThread() - before);
        }

        Assert.That(least, Is.Zero, $"{(double)least / Rounds:0.0} bytes a round");
    }

    private static void Ready(ValueTask task)
    {
        Must(task.IsCompletedSuccessfully);
        task.GetAwaiter().GetResult();
    }

    private static T Ready<T>(ValueTask<T> task)
    {
        Must(task.IsCompletedSuccessfully);
        return task.Result;
    }

    private static void Must(bool condition)
    {
        if (!condition) throw new AssertionException("a step of the round failed");
    }
}
