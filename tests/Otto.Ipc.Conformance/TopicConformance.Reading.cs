namespace Otto.Ipc.Conformance;

// ReceiveAsync, ReadAllAsync and SubscribeAsync of topics: copies, with the loss before each.

public abstract partial class TopicConformance
{
    [Test]
    public async Task ReceiveAsync_waits_for_a_message_and_copies_it()
    {
        MessageSubscriber subscriber = Subscriber();
        MessagePublisher publisher = Publisher();
        ValueTask<TopicMessage> receiving = subscriber.ReceiveAsync();
        publisher.TryPublish("first"u8);
        TopicMessage first = await Watchdog.WaitAsync(receiving);
        publisher.TryPublish("other"u8);
        TopicMessage second = await Watchdog.WaitAsync(subscriber.ReceiveAsync());
        Assert.That(first.Payload.ToArray(), Is.EqualTo("first"u8.ToArray()), "a copy, which the next message does not change");
        Assert.That(second.Payload.ToArray(), Is.EqualTo("other"u8.ToArray()));
        Assert.That(first.Lost + second.Lost, Is.Zero);
    }

    [Test]
    public async Task ReadAllAsync_gives_every_message_in_order()
    {
        MessageSubscriber subscriber = Subscriber();
        MessagePublisher publisher = Publisher();
        for (int i = 0; i < 20; i++) publisher.TryPublish(Payload.Make(1, i, 30));
        int next = 0;
        await foreach (TopicMessage message in subscriber.ReadAllAsync())
        {
            Assert.That(message.Payload.ToArray(), Is.EqualTo(Payload.Make(1, next, 30)));
            if (++next == 20) break;
        }

        Assert.That((next, subscriber.Lost), Is.EqualTo((20, 0L)));
    }

    [Test]
    public async Task ReadAllAsync_reports_what_was_lost_before_each_message()
    {
        MessageSubscriber slow = Subscriber();
        MessagePublisher publisher = Publisher();
        for (int i = 0; i < TooMany; i++) publisher.TryPublish(Payload.Make(1, i, 100));
        long expected = 0, lost = 0;
        using var stop = new CancellationTokenSource(Watchdog.Limit);
        await foreach (TopicMessage message in slow.ReadAllAsync(stop.Token))
        {
            Assert.That(Payload.TryRead(message.Payload.Span, out _, out int sequence), Is.True, "a torn message");
            Assert.That(sequence, Is.EqualTo(expected + message.Lost), "received and lost together are all that was published");
            expected = sequence + 1;
            lost += message.Lost;
            if (expected == TooMany) break;
        }

        Assert.That(lost, Is.Positive);
        Assert.That(slow.Lost, Is.EqualTo(lost));
    }

    [Test]
    public async Task ReadAllAsync_that_is_cancelled_in_its_middle_loses_nothing()
    {
        MessageSubscriber subscriber = Subscriber();
        MessagePublisher publisher = Publisher();
        for (int i = 0; i < 6; i++) publisher.TryPublish(Payload.Make(1, i, 30));
        using var stop = new CancellationTokenSource();
        int next = 0;
        Assert.That(
            async () =>
            {
                await foreach (TopicMessage message in subscriber.ReadAllAsync(stop.Token))
                {
                    Assert.That(message.Payload.ToArray(), Is.EqualTo(Payload.Make(1, next++, 30)));
                    if (next == 3) await stop.CancelAsync();
                }
            },
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(next, Is.EqualTo(3), "not one more after the token");
        for (; next < 6; next++) Assert.That(Next(subscriber, out _), Is.EqualTo(Payload.Make(1, next, 30)));
        Assert.That(subscriber.Lost, Is.Zero);
    }

    [Test]
    public async Task ReceiveAsync_that_is_cancelled_beside_a_message_takes_it_or_leaves_it()
    {
        MessageSubscriber subscriber = Subscriber();
        MessagePublisher publisher = Publisher();
        for (int i = 0; i < Cancellations / 4; i++)
        {
            using var stop = new CancellationTokenSource();
            ValueTask<TopicMessage> receiving = subscriber.ReceiveAsync(stop.Token);
            Task cancelling = Task.Run(stop.Cancel);
            publisher.TryPublish(Payload.Make(1, i, 20));
            byte[] message;
            try
            {
                message = (await Watchdog.WaitAsync(receiving)).Payload.ToArray();
            }
            catch (OperationCanceledException)
            {
                message = Next(subscriber, out _);
            }

            await cancelling;
            Assert.That(message, Is.EqualTo(Payload.Make(1, i, 20)));
        }

        Assert.That(subscriber.Lost, Is.Zero);
    }

    [Test]
    public async Task ReadAllAsync_of_a_subscriber_that_is_disposed_meanwhile_throws_ObjectDisposedException()
    {
        MessageSubscriber subscriber = Subscriber();
        await using IAsyncEnumerator<TopicMessage> messages = subscriber.ReadAllAsync().GetAsyncEnumerator();
        ValueTask<bool> waiting = messages.MoveNextAsync();
        subscriber.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(async () => await subscriber.ReceiveAsync(), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task SubscribeAsync_opens_a_subscription_and_closes_it_with_the_loop()
    {
        var transport = new HarnessTransport(_harness);
        MessagePublisher publisher = Publisher();
        using var stop = new CancellationTokenSource();
        await using (IAsyncEnumerator<TopicMessage> messages = transport.SubscribeAsync("prices", stop.Token).GetAsyncEnumerator())
        {
            ValueTask<bool> waiting = messages.MoveNextAsync();
            await Watchdog.WaitAsync(transport.Opened);
            publisher.TryPublish("one"u8);
            Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
            Assert.That(messages.Current.Payload.ToArray(), Is.EqualTo("one"u8.ToArray()));
            waiting = messages.MoveNextAsync();
            await stop.CancelAsync();
            Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<OperationCanceledException>());
        }

        MessageSubscriber subscriber = await transport.Opened;
        Assert.That(() => subscriber.TryReceive(out _), Throws.InstanceOf<ObjectDisposedException>(), "the loop's end closes it");
    }

    [Test]
    public async Task SubscribeAsync_starts_at_the_given_position()
    {
        if (!KeepsMessages)
        {
            await using IAsyncEnumerator<TopicMessage> none =
                new HarnessTransport(_harness).SubscribeAsync("prices", StartPosition.Oldest).GetAsyncEnumerator();
            Assert.That(async () => await none.MoveNextAsync(), Throws.InstanceOf<NotSupportedException>());
            return;
        }

        MessagePublisher publisher = Publisher();
        await publisher.PublishAsync(new ConformanceOrder(1, "kept", 1), ConformanceJson.Default.ConformanceOrder);
        await foreach (TopicMessage message in new HarnessTransport(_harness).SubscribeAsync("prices", StartPosition.Oldest))
        {
            Assert.That(message.Deserialize(ConformanceJson.Default.ConformanceOrder).What, Is.EqualTo("kept"));
            break;
        }
    }

    /// <summary>The harness as a transport, so that the extension is tried over each.</summary>
    private sealed class HarnessTransport(ITopicHarness harness) : ITopicTransport
    {
        private readonly TaskCompletionSource<MessageSubscriber> _opened = new();

        public Task<MessageSubscriber> Opened => _opened.Task;

        public string Name => "harness";

        public TransportTraits Traits => throw new NotSupportedException();

        public ValueTask<MessagePublisher> OpenPublisherAsync(ChannelName name, CancellationToken cancellationToken = default) =>
            new(harness.OpenPublisher());

        public ValueTask<MessageSubscriber> OpenSubscriberAsync(
            ChannelName name, StartPosition startAt = StartPosition.Now, CancellationToken cancellationToken = default)
        {
            MessageSubscriber subscriber = harness.OpenSubscriber(startAt);
            _opened.TrySetResult(subscriber);
            return new(subscriber);
        }

        public ValueTask DisposeAsync() => default;
    }
}
