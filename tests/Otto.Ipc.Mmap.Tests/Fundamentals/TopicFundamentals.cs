namespace Otto.Ipc.Mmap.Tests.Fundamentals;

// How to use a topic, from the first message to the last. Each test is a page; read them in order.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class TopicFundamentals
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Page_1_Every_subscriber_receives_what_is_published()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("weather");
        using MessageSubscriber one = _workspace.Transport.OpenSubscriber("weather"), two = _workspace.Transport.OpenSubscriber("weather");

        publisher.TryPublish("rain"u8);

        Assert.That(one.TryReceive(out TopicFrame message), Is.True);
        Assert.That(message.Bytes.SequenceEqual("rain"u8), Is.True); // a copy of one's own, valid until the next call
        Assert.That(two.TryReceive(out message), Is.True);
    }

    [Test]
    public void Page_2_A_slow_subscriber_learns_how_much_it_lost()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("ticks", new MmapTopicOptions { Capacity = 4096 });
        using MessageSubscriber slow = _workspace.Transport.OpenSubscriber("ticks");

        for (int i = 0; i < 1000; i++) publisher.TryPublish(BitConverter.GetBytes(i)); // never waits for anybody

        slow.TryReceive(out TopicFrame message);
        Assert.That(message.Lost, Is.EqualTo(BitConverter.ToInt32(message.Bytes)));
        Assert.That(message.Lost, Is.Positive);
    }

    [Test]
    public void Page_3_A_late_subscriber_may_ask_for_what_is_still_there()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("weather");
        publisher.TryPublish("rain"u8);

        using MessageSubscriber late = _workspace.Transport.OpenSubscriber("weather", startAt: StartPosition.Oldest);

        Assert.That(late.TryReceive(out TopicFrame message), Is.True);
        Assert.That(message.Bytes.SequenceEqual("rain"u8), Is.True);
    }

    [Test]
    public void Page_4_Under_Block_the_slowest_subscriber_holds_the_publisher()
    {
        var options = new MmapTopicOptions { Capacity = 4096, Policy = SlowSubscriberPolicy.Block };
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("orders", options);
        using MessageSubscriber slow = _workspace.Transport.OpenSubscriber("orders");

        while (publisher.TryPublish(new byte[100])) { } // false: somebody has not read far enough

        while (slow.TryReceive(out TopicFrame message)) Assert.That(message.Lost, Is.Zero);
        Assert.That(publisher.WaitToPublish(100, Timeout.InfiniteTimeSpan), Is.True);
    }
}
