using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Topics;

// What becomes of a subscriber that falls behind, by the topic's policy.

[TestFixture(WaitMode.Auto)]
[TestFixture(WaitMode.Portable)]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SlowSubscriberPolicyTests(WaitMode mode)
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Under_Block_the_slowest_subscriber_holds_the_publisher_and_nothing_is_lost()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Block);
        using MessageSubscriber quick = Subscriber(), slow = Subscriber();
        int published = Fill(publisher, 0);
        Assert.That(published, Is.InRange(20, 60));
        Assert.That(Read(quick), Is.EqualTo(Enumerable.Range(0, published)));
        Assert.That(publisher.TryPublish(new byte[100]), Is.False, "the slow one has read nothing");
        Assert.That(publisher.WaitToPublish(100, TimeSpan.Zero), Is.False);
        Assert.That(Read(slow), Is.EqualTo(Enumerable.Range(0, published)));
        int more = Fill(publisher, published);
        Assert.That(more, Is.GreaterThan(published));
        Assert.That(Read(slow), Is.EqualTo(Enumerable.Range(published, more - published)));
        Assert.That((slow.Lost, quick.Lost), Is.EqualTo((0, 0)));
    }

    [Test]
    public async Task Under_Block_a_publisher_that_waits_is_woken_by_reading([Values] bool blocks)
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Block);
        using MessageSubscriber subscriber = Subscriber();
        Fill(publisher, 0);
        Task waiting = blocks ? Watchdog.RunOnThread(() => publisher.WaitToPublish(900, Timeout.InfiniteTimeSpan))
            : publisher.WaitToPublishAsync(900).AsTask();
        Read(subscriber);
        await Watchdog.WaitAsync(waiting);
        Assert.That(publisher.TryPublish(new byte[900]), Is.True);
    }

    [Test]
    public async Task Under_Block_a_subscriber_that_leaves_lets_the_publisher_go()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Block);
        MessageSubscriber subscriber = Subscriber();
        Fill(publisher, 0);
        ValueTask waiting = publisher.WaitToPublishAsync(900);
        Assert.That(waiting.IsCompleted, Is.False);
        subscriber.Dispose();
        await Watchdog.WaitAsync(waiting);
        Assert.That(publisher.TryPublish(new byte[900]), Is.True);
    }

    [Test]
    public async Task Under_Block_everything_published_at_full_speed_reaches_every_subscriber()
    {
        // Portable waits hand each ring's worth over by sleeps.
        int messages = mode == WaitMode.Portable ? 4_000 : 20_000;
        using MessageSubscriber one = _workspace.Transport.OpenSubscriber("news", Options(SlowSubscriberPolicy.Block)), two = Subscriber();
        Task publishing = Watchdog.RunOnThread(() =>
        {
            using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Block);
            for (int i = 0; i < messages; i++)
            {
                byte[] message = Payload.Make(1, i, 12 + i % 400);
                while (!publisher.TryPublish(message)) Assert.That(publisher.WaitToPublish(message.Length, Watchdog.Limit), Is.True);
            }
        });
        Task[] hearing = [.. new[] { one, two }.Select(subscriber => Watchdog.RunOnThread(() =>
        {
            for (int i = 0; i < messages;)
            {
                if (!subscriber.TryReceive(out TopicFrame message))
                {
                    Assert.That(subscriber.WaitToReceive(Watchdog.Limit), Is.True);
                    continue;
                }

                Assert.That(message.Lost, Is.Zero);
                Assert.That(message.Bytes.SequenceEqual(Payload.Make(1, i, 12 + i % 400)), Is.True);
                i++;
            }
        }))];
        await Watchdog.WaitAsync(Task.WhenAll([publishing, .. hearing]), Watchdog.BulkLimit);
    }

    [Test]
    public void Under_Block_a_late_subscriber_that_asks_for_the_oldest_holds_it_from_then_on()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Block);
        for (int i = 0; i < 500; i++)
            Assert.That(publisher.TryPublish(Payload.Make(1, i, 100)), Is.True, "nobody subscribes, nobody holds it");
        using MessageSubscriber late = _workspace.Transport.OpenSubscriber("news", startAt: StartPosition.Oldest);
        int published = Fill(publisher, 500);
        List<int> heard = Read(late);
        Assert.That(heard, Is.EqualTo(Enumerable.Range(heard[0], published - heard[0])));
        Assert.That(heard[0], Is.LessThan(500));
        Assert.That(late.Lost, Is.Zero);
    }

    [Test]
    public async Task Under_Block_subscribers_that_come_and_go_lose_nothing_while_they_are_there()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Block);
        using var stop = new CancellationTokenSource();
        Task publishing = Watchdog.RunOnThread(() =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                byte[] message = Payload.Make(1, i, 12 + i % 100);
                while (!publisher.TryPublish(message)) Assert.That(publisher.WaitToPublish(message.Length, Watchdog.Limit), Is.True);
            }
        });
        Task[] visiting = [.. Enumerable.Range(0, 2).Select(v => Watchdog.RunOnThread(() =>
        {
            for (int visit = 0; visit < 150; visit++)
            {
                using MessageSubscriber visitor =
                    _workspace.Transport.OpenSubscriber("news", startAt: (visit + v) % 2 == 0 ? StartPosition.Now : StartPosition.Oldest);
                int expected = -1;
                for (int i = 0; i < 50;)
                {
                    if (!visitor.TryReceive(out TopicFrame message))
                    {
                        Assert.That(visitor.WaitToReceive(Watchdog.Limit), Is.True);
                        continue;
                    }

                    Assert.That(Payload.TryRead(message.Bytes, out _, out int sequence), Is.True);
                    Assert.That(message.Lost, Is.Zero);
                    if (expected >= 0) Assert.That(sequence, Is.EqualTo(expected));
                    expected = sequence + 1;
                    i++;
                }
            }
        }))];
        await Watchdog.WaitAsync(Task.WhenAll(visiting));
        await stop.CancelAsync();
        await Watchdog.WaitAsync(publishing);
    }

    [Test]
    public void Under_Disconnect_a_slow_subscriber_gets_an_exception_and_the_others_lose_nothing()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Disconnect);
        using MessageSubscriber quick = Subscriber();
        MessageSubscriber slow = Subscriber();
        int heard = 0;
        for (int i = 0; i < 1000; i++)
        {
            Assert.That(publisher.TryPublish(Payload.Make(1, i, 100)), Is.True);
            if (i % 10 == 9) heard += Read(quick).Count;
        }

        Assert.That((heard, quick.Lost), Is.EqualTo((1000, 0)));
        SubscriberDisconnectedException thrown = Assert.Throws<SubscriberDisconnectedException>(() => slow.TryReceive(out _));
        Assert.That(thrown!.Message, Does.Contain("fell behind"));
        Assert.Throws<SubscriberDisconnectedException>(() => slow.TryReceive(out _));
        slow.Dispose();
        using MessageSubscriber again = Subscriber();
        publisher.TryPublish(Payload.Make(1, 1000, 100));
        Assert.That(Read(again), Is.EqualTo(new[] { 1000 }));
    }

    [Test]
    public void Under_Disconnect_a_subscriber_that_resumes_learns_exactly_how_many_it_lost([Values] StartPosition startAt)
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Disconnect);
        using MessageSubscriber slow = Subscriber();
        int heard = 0, published = 0;
        long lost = 0;
        for (int round = 0; round < 10; round++)
        {
            for (int i = 0; i < 7 + round * 13; i++) publisher.TryPublish(Payload.Make(1, published++, 20 + i % 200));
            try
            {
                Listen();
            }
            catch (SubscriberDisconnectedException)
            {
                lost += slow.ResumeFrom(startAt);
                Assert.That(slow.TryReceive(out TopicFrame next), Is.EqualTo(startAt == StartPosition.Oldest),
                    "now is now, the oldest is still there");
                if (startAt == StartPosition.Oldest) Take(next);
                Listen();
            }

            Assert.That(heard + lost, Is.EqualTo(published), "heard and lost together are all that was published");
        }

        Assert.That((lost, lost > 0), Is.EqualTo((slow.Lost, true)));

        void Listen()
        {
            while (slow.TryReceive(out TopicFrame message)) Take(message);
        }

        void Take(TopicFrame message)
        {
            Assert.That(Payload.TryRead(message.Bytes, out _, out int sequence), Is.True, "torn");
            Assert.That((sequence, message.Lost), Is.EqualTo((heard + lost, 0L)));
            heard++;
        }
    }

    [Test]
    public void Under_Disconnect_a_subscriber_that_resumed_can_be_disconnected_again_and_blocks_no_publisher()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Disconnect);
        using MessageSubscriber slow = Subscriber();
        for (int round = 0; round < 5; round++)
        {
            for (int i = 0; i < 100; i++) Assert.That(publisher.TryPublish(Payload.Make(1, i, 100)), Is.True);
            Assert.Throws<SubscriberDisconnectedException>(() => slow.TryReceive(out _));
            Assert.That(slow.ResumeFrom(StartPosition.Now), Is.EqualTo(100));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => slow.ResumeFrom((StartPosition)7));
    }

    [Test]
    public async Task Under_Eject_a_subscriber_that_waits_is_never_ejected_and_one_that_is_does_not_wait()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Disconnect);
        using MessageSubscriber waiting = Subscriber(), away = Subscriber();
        for (int i = 0; i < 300; i++)
        {
            Task<bool> wait = Watchdog.RunOnThread(() => waiting.WaitToReceive(Timeout.InfiniteTimeSpan));
            publisher.TryPublish(Payload.Make(1, i, 100));
            await Watchdog.WaitAsync(wait);
            Assert.That(Read(waiting), Is.EqualTo(new[] { i }));
        }

        Assert.That(away.WaitToReceive(Timeout.InfiniteTimeSpan), Is.True, "there is something to hear: that it was ejected");
        Assert.Throws<SubscriberDisconnectedException>(() => away.TryReceive(out _));
    }

    [Test]
    public void A_policy_that_differs_from_the_topics_is_refused()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Disconnect);
        var thrown = Assert.Throws<SegmentMismatchException>(
            () => _workspace.Transport.OpenSubscriber("news", new MmapTopicOptions { Policy = SlowSubscriberPolicy.Block }));
        Assert.That(thrown!.Message, Does.Contain("Block").And.Contain("Disconnect"));
        Assert.Throws<SegmentMismatchException>(
            () => _workspace.Transport.OpenSubscriber("news", new MmapTopicOptions { Capacity = 8192 }));
        Assert.Throws<SegmentMismatchException>(
            () => _workspace.Transport.OpenSubscriber("news", new MmapTopicOptions { MaxPublishers = 9 }));
        Assert.Throws<SegmentMismatchException>(
            () => _workspace.Transport.OpenSubscriber("news", new MmapTopicOptions { MaxSubscribers = 9 }));
    }

    [Test]
    public void Options_that_make_no_topic_are_refused_with_their_numbers()
    {
        foreach (MmapTopicOptions options in (MmapTopicOptions[])[new() { Capacity = 1000 }, new() { MaxPublishers = 0 },
            new() { MaxSubscribers = 513 }, new() { Policy = (SlowSubscriberPolicy)7 }])
            Assert.Throws<ArgumentOutOfRangeException>(() => _workspace.Transport.OpenPublisher("news", options));
        Assert.Throws<ArgumentOutOfRangeException>(() => _workspace.Transport.OpenSubscriber("news", null, (StartPosition)5));
    }

    [Test]
    public void More_publishers_than_the_topic_can_have_are_refused()
    {
        MmapTopicOptions options = Options(SlowSubscriberPolicy.Overwrite) with { MaxPublishers = 1 };
        using MessagePublisher first = _workspace.Transport.OpenPublisher("news", options);
        Assert.That(Assert.Throws<IOException>(() => _workspace.Transport.OpenPublisher("news"))!.Message,
            Does.Contain("1 live publishers"));
    }

    private MmapTopicOptions Options(SlowSubscriberPolicy policy) =>
        new() { Capacity = 4096, Policy = policy, MaxPublishers = 2, WaitMode = mode };

    private MessagePublisher Publisher(SlowSubscriberPolicy policy) => _workspace.Transport.OpenPublisher("news", Options(policy));

    private MessageSubscriber Subscriber() => _workspace.Transport.OpenSubscriber("news", new MmapTopicOptions { WaitMode = mode });

    private static int Fill(MessagePublisher publisher, int next)
    {
        while (publisher.TryPublish(Payload.Make(1, next, 100))) next++;
        return next;
    }

    private static List<int> Read(MessageSubscriber subscriber)
    {
        List<int> heard = [];
        while (subscriber.TryReceive(out TopicFrame message))
        {
            Assert.That(Payload.TryRead(message.Bytes, out _, out int sequence), Is.True);
            heard.Add(sequence);
        }

        return heard;
    }
}
