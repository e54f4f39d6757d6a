using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Topics;

// Coming to a topic: which place one gets, what it remembers of who had it before, and that a publisher beside it changes nothing.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SubscriberJoinTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_subscriber_that_begins_at_the_oldest_holds_it_even_in_a_place_whose_last_user_had_read_on()
    {
        using MessagePublisher publisher = Publisher(SlowSubscriberPolicy.Block);
        using (MessageSubscriber before = _workspace.Transport.OpenSubscriber("news"))
        {
            for (int i = 0; i < 10; i++) Assert.That(publisher.TryPublish(Payload.Make(1, i, 100)), Is.True);
            while (before.TryReceive(out _)) { }
        }

        using MessageSubscriber late = _workspace.Transport.OpenSubscriber("news", startAt: StartPosition.Oldest);
        int published = 10;
        while (publisher.TryPublish(Payload.Make(1, published, 100))) published++;
        for (int i = 0; i < published; i++)
        {
            Assert.That(late.TryReceive(out TopicFrame message), Is.True, $"message {i} of {published}");
            Assert.That((message.Lost, message.Bytes.SequenceEqual(Payload.Make(1, i, 100))), Is.EqualTo((0L, true)), $"message {i}");
        }
    }

    [Test]
    public void More_subscribers_than_the_topic_can_have_are_refused_and_none_takes_a_publishers_place([Values] SlowSubscriberPolicy policy)
    {
        MmapTopicOptions options = new() { Capacity = 4096, MaxPublishers = 2, MaxSubscribers = 3, Policy = policy };
        MessageSubscriber[] subscribers = [.. Enumerable.Range(0, 3).Select(_ => _workspace.Transport.OpenSubscriber("news", options))];
        var thrown = Assert.Throws<ParticipantLimitException>(() => _workspace.Transport.OpenSubscriber("news"));
        Assert.That(thrown!.Message, Does.Contain("3 live subscribers").And.Contain("MaxSubscribers"));
        using (MessagePublisher one = _workspace.Transport.OpenPublisher("news"), two = _workspace.Transport.OpenPublisher("news"))
            Assert.That(two.TryPublish("x"u8), Is.True);
        subscribers[1].Dispose();
        subscribers[1] = _workspace.Transport.OpenSubscriber("news");
        foreach (MessageSubscriber subscriber in subscribers) subscriber.Dispose();
    }

    [Test]
    public async Task Beside_a_publisher_at_full_speed_a_subscriber_can_come_at_any_time([Values] StartPosition startAt,
        [Values] SlowSubscriberPolicy policy)
    {
        using MessagePublisher publisher = Publisher(policy);
        using var stop = new CancellationTokenSource();
        Task publishing = Watchdog.RunOnThread(() =>
        {
            byte[] message = new byte[16];
            while (!stop.IsCancellationRequested)
            {
                for (int i = 0; i < 1000; i++) publisher.TryPublish(message);
            }
        });
        for (int i = 0; i < 3_000; i++) _workspace.Transport.OpenSubscriber("news", startAt: startAt).Dispose();
        await stop.CancelAsync();
        await Watchdog.WaitAsync(publishing);
    }

    private MessagePublisher Publisher(SlowSubscriberPolicy policy) =>
        _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Capacity = 4096, MaxPublishers = 2, Policy = policy });
}
