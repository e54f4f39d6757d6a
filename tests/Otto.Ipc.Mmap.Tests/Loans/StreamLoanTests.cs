using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Loans;

// Blocks handed over by reference through a stream, and through a topic.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class StreamLoanTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_message_far_larger_than_the_ring_is_handed_over_in_order_with_small_ones()
    {
        using MessageSender sender = Sender();
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        for (int i = 0; i < 5; i++)
        {
            sender.TrySend(Payload.Make(1, 2 * i, 50));
            Assert.That(sender.TryLoan(3_000_000, out Loan loan), Is.True);
            Payload.Fill(loan.Span, 1, 2 * i + 1);
            Assert.That(sender.TrySend(loan, 3_000_000), Is.True);
        }

        for (int i = 0; i < 10; i++)
        {
            Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
            Assert.That(lease.Bytes.SequenceEqual(Payload.Make(1, i, i % 2 == 0 ? 50 : 3_000_000)), Is.True, $"message {i}");
            lease.Dispose();
        }

        Assert.That(receiver.TryReceive(out _), Is.False);
        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void A_loan_can_be_received_into_a_buffer_and_one_that_is_too_short_consumes_nothing()
    {
        using MessageSender sender = Sender();
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        Send(sender, 7, 10_000);
        Assert.That(Assert.Throws<ArgumentException>(() => receiver.TryReceive(new byte[100], out _))!.Message,
            Does.Contain("10,000").And.Contain("100"));
        byte[] buffer = new byte[10_000];
        Assert.That(receiver.TryReceive(buffer, out int bytes), Is.True);
        Assert.That((bytes, buffer.SequenceEqual(Payload.Make(1, 7, 10_000))), Is.EqualTo((10_000, true)));
        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void Loans_of_a_sender_that_left_are_read_and_freed()
    {
        using (MessageSender sender = Sender())
        {
            for (int i = 0; i < 3; i++) Send(sender, i, 10_000);
        }

        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        for (int i = 0; i < 3; i++)
        {
            Assert.That(receiver.TryReceive(out ReadLease lease), Is.True);
            Assert.That(lease.Bytes.SequenceEqual(Payload.Make(1, i, 10_000)), Is.True);
            lease.Dispose();
        }

        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void A_loan_can_be_written_and_returned_after_its_sender_was_disposed()
    {
        MessageSender sender = Sender();
        sender.TryLoan(10_000, out Loan loan);
        sender.Dispose();
        loan.Span.Fill(7);
        loan.Dispose();
        loan.Dispose();
        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void When_all_blocks_are_lent_the_answer_is_no_until_the_receiver_has_read()
    {
        using MessageSender sender = Sender();
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        int sent = 0;
        while (sender.TryLoan(100, out Loan loan))
        {
            if (!sender.TrySend(loan, 100))
            {
                loan.Dispose();
                break;
            }

            sent++;
        }

        Assert.That(sent, Is.EqualTo(64));
        receiver.TryReceive(out ReadLease lease);
        lease.Dispose();
        Assert.That(sender.TryLoan(100, out Loan next), Is.True);
        next.Dispose();
        while (receiver.TryReceive(out lease)) lease.Dispose();
    }

    private MessageSender Sender() => _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 4096, MaxSenders = 1 });

    private static void Send(MessageSender sender, int sequence, int bytes)
    {
        sender.TryLoan(bytes, out Loan loan);
        Payload.Fill(loan.Span, 1, sequence);
        Assert.That(sender.TrySend(loan, bytes), Is.True);
    }

    private (int Lent, int Files) Blocks() => PoolBytes.Count(_workspace.Directory, "frames.stream");
}

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class TopicLoanTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Every_subscriber_reads_the_same_block_in_place_and_the_ring_frees_it()
    {
        using MessagePublisher publisher = Publisher();
        using MessageSubscriber one = Subscriber(), two = Subscriber();
        Publish(publisher, 0, 300_000);
        foreach (MessageSubscriber subscriber in new[] { one, two })
        {
            Assert.That(subscriber.TryReceive(out TopicFrame message), Is.True);
            Assert.That(message.Bytes.SequenceEqual(Payload.Make(1, 0, 300_000)), Is.True);
        }

        Assert.That(Blocks().Lent, Is.EqualTo(1), "a late subscriber could still ask for it");
        for (int i = 1; i < 100; i++) publisher.TryPublish(Payload.Make(1, i, 100));
        while (one.TryReceive(out _) | two.TryReceive(out _)) { }
        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void A_block_that_is_being_read_outlives_its_frame()
    {
        using MessagePublisher publisher = Publisher();
        using MessageSubscriber reader = Subscriber();
        Publish(publisher, 0, 300_000);
        Assert.That(reader.TryReceive(out TopicFrame message), Is.True);
        for (int i = 1; i < 200; i++) Publish(publisher, i, 100 + i * 1000);
        Assert.That(message.Bytes.SequenceEqual(Payload.Make(1, 0, 300_000)), Is.True, "held until the next call");
        int last = 0;
        long lost = 0;
        while (reader.TryReceive(out message))
        {
            Assert.That(Payload.TryRead(message.Bytes, out _, out int sequence), Is.True);
            lost += message.Lost;
            last = sequence;
        }

        Assert.That(last, Is.EqualTo(199));
        Assert.That(lost, Is.Positive);
    }

    [Test]
    public async Task Beside_a_publisher_at_full_speed_no_block_is_torn()
    {
        const int Messages = 20_000;
        using MessageSubscriber one = Subscriber(), two = Subscriber();
        Task publishing = Watchdog.RunOnThread(() =>
        {
            using MessagePublisher publisher = Publisher();
            for (int i = 0; i < Messages;)
            {
                if (i % 3 == 0)
                {
                    if (!publisher.TryLoan(12 + i * 31 % 9000, out Loan loan)) continue;
                    Payload.Fill(loan.Span, 1, i);
                    publisher.TryPublish(loan, loan.Memory.Length);
                }
                else
                {
                    publisher.TryPublish(Payload.Make(1, i, 12 + i % 100));
                }

                i++;
            }
        });
        Task[] hearing = [.. new[] { one, two }.Select(subscriber => Watchdog.RunOnThread(() =>
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
        await Watchdog.WaitAsync(Task.WhenAll([publishing, .. hearing]));
    }

    private MessagePublisher Publisher() =>
        _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Capacity = 4096, MaxPublishers = 1 });

    private MessageSubscriber Subscriber() =>
        _workspace.Transport.OpenSubscriber("news", new MmapTopicOptions { Capacity = 4096, MaxPublishers = 1 });

    private static void Publish(MessagePublisher publisher, int sequence, int bytes)
    {
        Assert.That(publisher.TryLoan(bytes, out Loan loan), Is.True);
        Payload.Fill(loan.Span, 1, sequence);
        Assert.That(publisher.TryPublish(loan, bytes), Is.True);
    }

    private (int Lent, int Files) Blocks() => PoolBytes.Count(_workspace.Directory, "news.topic");
}
