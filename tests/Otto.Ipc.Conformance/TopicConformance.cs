using System.Diagnostics;

namespace Otto.Ipc.Conformance;

// What every topic promises, whichever transport carries it: everybody hears everything while it keeps up, and knows what it lost.

/// <summary>A fresh topic of one transport, for one test.</summary>
public interface ITopicHarness : IDisposable
{
    /// <summary>Opens a publisher; the topic takes at least three, and messages of at least 512 bytes.</summary>
    MessagePublisher OpenPublisher();

    /// <summary>Opens a subscriber; the topic takes at least eight.</summary>
    MessageSubscriber OpenSubscriber(StartPosition startAt = StartPosition.Now);
}

/// <summary>The suite of the topic shape, for topics in which whoever falls behind loses the oldest.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public abstract partial class TopicConformance
{
    private readonly List<IDisposable> _ends = [];
    private ITopicHarness _harness = null!;

    /// <summary>How many messages of 100 bytes certainly do not fit into what the topic keeps.</summary>
    protected virtual int TooMany => 2_000;

    /// <summary>How often a wait is cancelled beside a message.</summary>
    protected virtual int Cancellations => 2_000;

    /// <summary>Whether a topic keeps messages for those who come later.</summary>
    protected virtual bool KeepsMessages => true;

    /// <summary>Makes a topic that no other test knows.</summary>
    protected abstract ITopicHarness CreateHarness();

    [SetUp]
    public void Open() => _harness = CreateHarness();

    [TearDown]
    public void Close()
    {
        foreach (IDisposable end in _ends) end.Dispose();
        _harness?.Dispose();
    }

    [Test]
    public void Every_subscriber_receives_every_message_in_order()
    {
        MessagePublisher publisher = Publisher();
        MessageSubscriber[] subscribers = [Subscriber(), Subscriber(), Subscriber()];
        for (int i = 0; i < 20; i++) Assert.That(publisher.TryPublish(Payload.Make(1, i, 20 + i)), Is.True);
        foreach (MessageSubscriber subscriber in subscribers)
        {
            for (int i = 0; i < 20; i++)
                Assert.That(Next(subscriber, out long lost), Is.EqualTo(Payload.Make(1, i, 20 + i)), $"lost {lost}");
            Assert.That(subscriber.TryReceive(out _), Is.False);
            Assert.That(subscriber.Lost, Is.Zero);
        }
    }

    [Test]
    public void A_topic_without_subscribers_is_never_full()
    {
        MessagePublisher publisher = Publisher();
        for (int i = 0; i < TooMany; i++) Assert.That(publisher.TryPublish(Payload.Make(1, i, 100)), Is.True);
    }

    [Test]
    public void A_subscriber_that_begins_now_receives_nothing_from_before()
    {
        MessagePublisher publisher = Publisher();
        for (int i = 0; i < 5; i++) publisher.TryPublish(Payload.Make(1, i, 30));
        MessageSubscriber late = Subscriber();
        Assert.That(late.TryReceive(out _), Is.False);
        publisher.TryPublish("now"u8);
        Assert.That(Next(late, out long lost), Is.EqualTo("now"u8.ToArray()));
        Assert.That(lost, Is.Zero, "what was before it came is not lost");
    }

    [Test]
    public void A_late_subscriber_can_ask_for_what_is_still_there()
    {
        if (!KeepsMessages)
        {
            Assert.Throws<NotSupportedException>(() => Subscriber(StartPosition.Oldest));
            return;
        }

        MessagePublisher publisher = Publisher();
        for (int i = 0; i < 5; i++) publisher.TryPublish(Payload.Make(1, i, 30));
        MessageSubscriber late = Subscriber(StartPosition.Oldest);
        for (int i = 0; i < 5; i++) Assert.That(Next(late, out _), Is.EqualTo(Payload.Make(1, i, 30)));
        for (int i = 0; i < TooMany; i++) publisher.TryPublish(Payload.Make(1, i, 100));
        MessageSubscriber later = Subscriber(StartPosition.Oldest);
        Assert.That(Payload.TryRead(Next(later, out long lost), out _, out int first), Is.True);
        Assert.That((lost, first), Is.EqualTo((0L, first)));
        Assert.That(first, Is.Positive.And.LessThan(TooMany));
        for (int i = first + 1; i < TooMany; i++) Assert.That(Next(later, out _), Is.EqualTo(Payload.Make(1, i, 100)));
    }

    [Test]
    public void A_lapped_subscriber_learns_exactly_how_many_it_lost()
    {
        MessagePublisher publisher = Publisher();
        MessageSubscriber slow = Subscriber();
        int expected = 0;
        long told = 0;
        for (int round = 0; round < 20; round++)
        {
            for (int i = 0; i < TooMany / 7 * (1 + round % 9); i++) publisher.TryPublish(Payload.Make(1, expected + i, 20 + i % 200));
            int published = expected + TooMany / 7 * (1 + round % 9);
            Watchdog.Until(
                () =>
                {
                    while (slow.TryReceive(out TopicFrame message))
                    {
                        Assert.That(Payload.TryRead(message.Bytes, out _, out int sequence), Is.True, "a torn message");
                        Assert.That(sequence, Is.EqualTo(expected + message.Lost), "received and lost together are all that was published");
                        expected = sequence + 1;
                        told += message.Lost;
                    }

                    return expected >= published;
                },
                "the newest, which is never lost");
            Assert.That(expected, Is.EqualTo(published));
        }

        Assert.That(told, Is.Positive);
        Assert.That(slow.Lost, Is.EqualTo(told));
    }

    [Test]
    public void Skipping_the_backlog_returns_the_number_of_skipped_messages()
    {
        MessagePublisher publisher = Publisher();
        MessageSubscriber subscriber = Subscriber();
        for (int i = 0; i < 10; i++) publisher.TryPublish(Payload.Make(1, i, 30));
        Assert.That(Next(subscriber, out _), Is.EqualTo(Payload.Make(1, 0, 30)));
        Assert.That(subscriber.ResumeFrom(StartPosition.Oldest), Is.Zero, "nothing was lost, and what was heard is not heard again");
        Assert.That(Next(subscriber, out _), Is.EqualTo(Payload.Make(1, 1, 30)));
        Assert.That(subscriber.ResumeFrom(StartPosition.Now), Is.EqualTo(8));
        publisher.TryPublish(Payload.Make(1, 10, 30));
        Assert.That(Next(subscriber, out long lost), Is.EqualTo(Payload.Make(1, 10, 30)));
        Assert.That((lost, subscriber.Lost), Is.EqualTo((0L, 8L)));
    }

    [Test]
    public void Order_is_kept_for_each_of_several_publishers()
    {
        MessagePublisher[] publishers = [Publisher(), Publisher(), Publisher()];
        MessageSubscriber subscriber = Subscriber();
        for (int i = 0; i < 8; i++)
        {
            for (int p = 0; p < publishers.Length; p++) publishers[p].TryPublish(Payload.Make(p, i, 40));
        }

        int[] next = new int[publishers.Length];
        for (int i = 0; i < 24; i++)
        {
            Assert.That(Payload.TryRead(Next(subscriber, out _), out int sender, out int sequence), Is.True);
            Assert.That(sequence, Is.EqualTo(next[sender]++));
        }
    }

    [Test]
    public void A_publisher_that_opens_later_is_received_from_its_first_message()
    {
        MessageSubscriber subscriber = Subscriber();
        Publisher().TryPublish("one"u8);
        Publisher().TryPublish("two"u8);
        Assert.That(new[] { Text(subscriber), Text(subscriber) }, Is.EquivalentTo(new[] { "one", "two" }));
    }

    [Test]
    public void A_publishers_successor_continues_where_it_stopped()
    {
        MessageSubscriber subscriber = Subscriber();
        for (int i = 0; i < 30; i++)
        {
            using MessagePublisher publisher = _harness.OpenPublisher();
            publisher.TryPublish(Payload.Make(1, i, 30));
        }

        for (int i = 0; i < 30; i++) Assert.That(Next(subscriber, out long lost), Is.EqualTo(Payload.Make(1, i, 30)), $"lost {lost}");
        Assert.That(subscriber.Lost, Is.Zero);
    }

    [Test]
    public void Messages_of_no_bytes_and_of_exactly_the_limit_arrive_with_every_byte_value()
    {
        MessagePublisher publisher = Publisher();
        MessageSubscriber subscriber = Subscriber();
        byte[] most = [.. Enumerable.Range(0, Math.Min(publisher.MaxMessageBytes, 1 << 20)).Select(i => (byte)i)];
        publisher.TryPublish([]);
        Assert.That(Next(subscriber, out _), Is.Empty);
        publisher.TryPublish(most);
        Assert.That(Next(subscriber, out _), Is.EqualTo(most));
        var thrown = Assert.Throws<ArgumentOutOfRangeException>(() => publisher.TryPublish(new byte[publisher.MaxMessageBytes + 1]));
        Assert.That(thrown!.Message, Does.Contain($"{publisher.MaxMessageBytes + 1:N0}").And.Contain($"{publisher.MaxMessageBytes:N0}"));
        Assert.Throws<ArgumentOutOfRangeException>(() => publisher.TryReserve(-1, out _));
        publisher.TryPublish("after"u8);
        Assert.That(Text(subscriber), Is.EqualTo("after"));
    }

    [Test]
    public void A_message_written_in_place_is_received_once_it_is_committed()
    {
        MessagePublisher publisher = Publisher();
        MessageSubscriber subscriber = Subscriber();
        Assert.That(publisher.TryReserve(100, out WriteSlot slot), Is.True);
        "in place"u8.CopyTo(slot.Bytes);
        Assert.That(subscriber.TryReceive(out _), Is.False, "not committed yet");
        slot.Commit(8);
        Assert.That(Text(subscriber), Is.EqualTo("in place"));
        publisher.TryReserve(100, out WriteSlot dropped);
        dropped.Dispose();
        publisher.TryPublish("next"u8);
        Assert.That(Text(subscriber), Is.EqualTo("next"));
        Assert.That(subscriber.Lost, Is.Zero);
    }

    [Test]
    public void A_slot_counts_once_and_blocks_its_publisher_until_then()
    {
        MessagePublisher publisher = Publisher();
        MessageSubscriber subscriber = Subscriber();
        publisher.TryReserve(10, out WriteSlot slot);
        Assert.Throws<InvalidOperationException>(() => publisher.TryPublish("x"u8));
        slot.Commit(0);
        bool refused = false;
        try
        {
            slot.Commit(0);
        }
        catch (InvalidOperationException)
        {
            refused = true;
        }

        Assert.That(refused, Is.True);
        Assert.That(Next(subscriber, out _), Is.Empty);
        Assert.That(subscriber.TryReceive(out _), Is.False);
    }

    [Test]
    public async Task A_subscriber_that_waits_is_woken([Values] bool blocks)
    {
        MessageSubscriber subscriber = Subscriber();
        MessagePublisher publisher = Publisher();
        for (int i = 0; i < 20; i++)
        {
            Task waiting = blocks ? Watchdog.RunOnThread(() => subscriber.WaitToReceive(Timeout.InfiniteTimeSpan))
                : subscriber.WaitToReceiveAsync().AsTask();
            publisher.TryPublish(Payload.Make(1, i, 20));
            await Watchdog.WaitAsync(waiting);
            Assert.That(Next(subscriber, out _), Is.EqualTo(Payload.Make(1, i, 20)));
        }
    }

    [Test]
    public async Task One_message_wakes_every_waiting_subscriber()
    {
        MessageSubscriber[] subscribers = [.. Enumerable.Range(0, 8).Select(_ => Subscriber())];
        Task[] waiting = [.. subscribers.Select(
            (s, i) => i % 2 == 0 ? Watchdog.RunOnThread(() => s.WaitToReceive(Timeout.InfiniteTimeSpan))
            : s.WaitToReceiveAsync().AsTask())];
        Publisher().TryPublish("all"u8);
        await Watchdog.WaitAsync(Task.WhenAll(waiting));
        foreach (MessageSubscriber subscriber in subscribers) Assert.That(Text(subscriber), Is.EqualTo("all"));
    }

    [Test]
    public void Waiting_with_a_time_limit_ends()
    {
        MessageSubscriber subscriber = Subscriber();
        long start = Stopwatch.GetTimestamp();
        Assert.That(subscriber.WaitToReceive(TimeSpan.FromMilliseconds(50)), Is.False);
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(TimeSpan.FromMilliseconds(45)));
        Assert.That(Publisher().WaitToPublish(10, TimeSpan.Zero), Is.True, "nobody holds a publisher");
    }

    [Test]
    public async Task Cancelling_ends_a_wait_and_loses_no_message()
    {
        MessageSubscriber subscriber = Subscriber();
        MessagePublisher publisher = Publisher();
        for (int i = 0; i < Cancellations; i++)
        {
            using var stop = new CancellationTokenSource();
            ValueTask waiting = subscriber.WaitToReceiveAsync(stop.Token);
            Task cancelling = Task.Run(stop.Cancel);
            publisher.TryPublish(Payload.Make(1, i, 20));
            try
            {
                await Watchdog.WaitAsync(waiting);
            }
            catch (OperationCanceledException)
            {
            }

            await cancelling;
            Assert.That(Next(subscriber, out long lost), Is.EqualTo(Payload.Make(1, i, 20)));
            Assert.That(lost, Is.Zero);
        }
    }

    [Test]
    public async Task Disposing_beside_a_wait_ends_it()
    {
        MessageSubscriber subscriber = _harness.OpenSubscriber();
        Task<bool> waiting = Watchdog.RunOnThread(() => subscriber.WaitToReceive(Timeout.InfiniteTimeSpan));
        subscriber.Dispose();
        subscriber.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<ObjectDisposedException>());
        Assert.Throws<ObjectDisposedException>(() => subscriber.TryReceive(out _));
        MessagePublisher publisher = _harness.OpenPublisher();
        publisher.Dispose();
        Assert.Throws<ObjectDisposedException>(() => publisher.TryPublish("x"u8));
        Assert.That(async () => await publisher.PublishAsync("x"u8.ToArray()), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task Beside_a_publisher_at_full_speed_nothing_is_torn_and_the_sum_is_right()
    {
        const int Messages = 200_000;
        MessageSubscriber[] subscribers = [Subscriber(), Subscriber()];
        Task publishing = Watchdog.RunOnThread(() =>
        {
            MessagePublisher publisher = Publisher();
            for (int i = 0; i < Messages; i++)
            {
                byte[] message = Payload.Make(1, i, 16 + i % 300);
                while (!publisher.TryPublish(message)) publisher.WaitToPublish(message.Length, Watchdog.Limit);
            }
        });
        Task[] hearing = [.. subscribers.Select(subscriber => Watchdog.RunOnThread(() =>
        {
            int expected = 0;
            while (expected < Messages)
            {
                if (!subscriber.TryReceive(out TopicFrame message))
                {
                    Assert.That(subscriber.WaitToReceive(Watchdog.Limit), Is.True);
                    continue;
                }

                Assert.That(Payload.TryRead(message.Bytes, out _, out int sequence), Is.True, "torn");
                Assert.That(sequence, Is.EqualTo(expected + message.Lost));
                expected = sequence + 1;
            }
        }))];
        await Watchdog.WaitAsync(Task.WhenAll([publishing, .. hearing]), Watchdog.BulkLimit);
    }

    protected MessagePublisher Publisher() => Keep(_harness.OpenPublisher());

    protected MessageSubscriber Subscriber(StartPosition startAt = StartPosition.Now) => Keep(_harness.OpenSubscriber(startAt));

    protected static byte[] Next(MessageSubscriber subscriber, out long lost)
    {
        byte[]? bytes = null;
        long found = 0;
        Watchdog.Until(
            () =>
            {
                if (!subscriber.TryReceive(out TopicFrame message)) return false;
                bytes = message.Bytes.ToArray();
                found = message.Lost;
                return true;
            },
            "a message");
        lost = found;
        return bytes!;
    }

    private static string Text(MessageSubscriber subscriber) => System.Text.Encoding.UTF8.GetString(Next(subscriber, out _));

    private T Keep<T>(T end)
        where T : IDisposable
    {
        lock (_ends) _ends.Add(end);
        return end;
    }
}
