using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Loans;

// Several at once, and files that change under their users: each of these once lost a message, stopped a channel, or ended the process.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LoanRaceTests
{
    private static readonly MmapQueueOptions Small = new() { Slots = 8, SlotBytes = 64 };

    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task Aborting_a_reservation_returns_only_its_own_block([Values(50, 8000)] int aborted)
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Small with { Slots = 2 });
        bool stop = false;
        Task aborting = Watchdog.RunOnThread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                if (!queue.TryReserve(aborted, out WriteSlot slot)) continue;
                slot.Bytes.Fill(0xEE);
                slot.Dispose();
            }
        });
        for (int i = 0; i < 300_000; i++)
        {
            if (!queue.TryReserve(8000, out WriteSlot slot)) continue;
            slot.Bytes.Fill((byte)(i & 0x7F));
            slot.Commit(8000);
            if (!queue.TryLease(out WorkLease lease)) continue;
            Assert.That(lease.Payload.Length, Is.EqualTo(8000), $"message {i}");
            Assert.That(lease.Payload.Span[7999], Is.LessThan(0x80), "bytes that nobody committed");
            lease.Complete();
        }

        Volatile.Write(ref stop, true);
        await Watchdog.WaitAsync(aborting);
    }

    [Test]
    public async Task Dead_letters_are_read_while_they_are_dropped_and_their_blocks_made_anew()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Small with { Slots = 1 });
        bool stop = false;
        Task reading = Watchdog.RunOnThread(() =>
        {
            while (!Volatile.Read(ref stop)) _ = queue.GetDeadLetters().Count;
        });
        byte[][] payloads = [new byte[1_000_000], new byte[3_000_000]];
        for (int i = 0; i < 300; i++)
        {
            queue.TrySend(payloads[i % 2]);
            Assert.That(queue.TryLease(out WorkLease lease), Is.True);
            lease.DeadLetter("x");
            // Every other free block of this size is taken away, so that the next is made anew.
            foreach (DeadLetter letter in queue.GetDeadLetters()) queue.DeleteDeadLetter(letter.Id);
        }

        Volatile.Write(ref stop, true);
        await Watchdog.WaitAsync(reading);
    }

    [Test]
    public void A_descriptor_with_a_wrong_file_takes_no_other_bytes_away()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Small);
        byte[] payload = new byte[1_000_000];
        payload.AsSpan().Fill(0x5A);
        queue.TrySend(payload);
        queue.TrySend(payload);
        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        ReadOnlySpan<byte> held = lease.Payload.Span;
        Overwrite("jobs.queue", bytes =>
        {
            // The second slot's descriptor: block 1 becomes block 0, of another file.
            int at = Enumerable.Range(0x10000 / 8, (bytes.Length - 0x10018) / 8).Select(i => i * 8).First(
                i => BitConverter.ToInt32(bytes, i) == 1 && BitConverter.ToInt32(bytes, i + 16) == 1_000_000);
            return (at, [0, 0, 0, 0, 7, 0, 0, 0]);
        });
        Assert.Throws<CorruptSegmentException>(() => queue.TryLease(out _));
        Assert.That(held[900_000], Is.EqualTo(0x5A));
        lease.Complete();
    }

    [Test]
    public void A_corrupt_pool_entry_costs_a_block_and_nothing_else()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Small);
        queue.TryLoan(1_000_000, out Loan live);
        Span<byte> held = live.Span;
        held[900_000] = 1;
        string pool = Path.GetFileName(Directory.GetFiles(_workspace.Directory, "*.pool").Single());
        byte[] entry = [];
        Overwrite(pool, bytes =>
        {
            int at = (int)BitConverter.ToInt64(bytes, 0x18);
            entry = bytes[at..(at + 0x18)];
            return (at, new byte[16]); // Free, and without a file
        });
        Assert.That(queue.TryLoan(2_000_000, out Loan other), Is.True);
        held[900_000] = 2; // no longer anybody's, and no crash
        other.Dispose();
        Overwrite(pool, bytes => ((int)BitConverter.ToInt64(bytes, 0x18), entry));
        live.Dispose();
        Overwrite(pool, bytes => ((int)BitConverter.ToInt64(bytes, 0x18) + 8, BitConverter.GetBytes(1L << 30)));
        Assert.That(queue.TryLoan(1 << 30 >> 4, out Loan large), Is.True);
        large.Dispose();
    }

    [Test]
    public void A_publisher_of_loans_alone_never_runs_out([Values] SlowSubscriberPolicy policy)
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Policy = policy });
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news");
        int heard = 0;
        for (int i = 0; i < 1_500; i++)
        {
            Loan loan = default;
            Assert.That(publisher.TryLoan(100, out loan), Is.True, $"loan {i}");
            loan.Span.Fill((byte)i);
            Assert.That(publisher.TryPublish(loan, 100), Is.True);
            while (subscriber.TryReceive(out TopicFrame message))
            {
                Assert.That((message.Lost, message.Bytes[99]), Is.EqualTo((0, (byte)heard)));
                heard++;
            }

            if (policy == SlowSubscriberPolicy.Block) subscriber.WaitToReceive(TimeSpan.Zero); // tells how far it has read
        }

        Assert.That(heard, Is.EqualTo(1_500));
    }

    [Test]
    public void A_subscriber_that_blocks_holds_the_blocks_of_what_it_has_not_read()
    {
        using MessagePublisher publisher =
            _workspace.Transport.OpenPublisher("news", new MmapTopicOptions { Policy = SlowSubscriberPolicy.Block });
        using MessageSubscriber slow = _workspace.Transport.OpenSubscriber("news");
        int lent = 0;
        while (publisher.TryLoan(100, out Loan loan))
        {
            loan.Span[0] = (byte)lent;
            Assert.That(publisher.TryPublish(loan, 100), Is.True);
            lent++;
        }

        for (int i = 0; i < lent; i++)
        {
            Assert.That(slow.TryReceive(out TopicFrame message), Is.True);
            Assert.That((message.Lost, message.Bytes[0]), Is.EqualTo((0, (byte)i)));
        }

        Assert.That(slow.TryReceive(out _), Is.False);
        Assert.That(publisher.TryLoan(100, out Loan next), Is.True);
        next.Dispose();
    }

    [Test]
    public void More_subscribers_than_a_pool_has_seats_still_receive_loans()
    {
        using MessagePublisher publisher =
            _workspace.Transport.OpenPublisher("news",
                new MmapTopicOptions { Capacity = 4096, Policy = SlowSubscriberPolicy.Block, MaxSubscribers = 40 });
        MessageSubscriber[] subscribers = [.. Enumerable.Range(0, 40).Select(_ => _workspace.Transport.OpenSubscriber("news"))];
        for (int round = 0; round < 100; round++)
        {
            Assert.That(publisher.TryLoan(5000, out Loan loan), Is.True);
            loan.Span.Fill((byte)round);
            Assert.That(publisher.TryPublish(loan, 5000), Is.True);
            foreach (MessageSubscriber subscriber in subscribers)
            {
                Assert.That(subscriber.TryReceive(out TopicFrame message), Is.True);
                Assert.That((message.Bytes.Length, message.Bytes[4999]), Is.EqualTo((5000, (byte)round)));
                subscriber.TryReceive(out _);
            }
        }

        foreach (MessageSubscriber subscriber in subscribers) subscriber.Dispose();
    }

    [Test]
    public void Reading_a_message_late_is_no_crash()
    {
        using MessagePublisher publisher = _workspace.Transport.OpenPublisher("news");
        MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news");
        publisher.TryLoan(1_000_000, out Loan loan);
        loan.Span.Fill(5);
        publisher.TryPublish(loan, 1_000_000);
        Assert.That(subscriber.TryReceive(out TopicFrame message), Is.True);
        ReadOnlySpan<byte> bytes = message.Bytes;
        Assert.That(bytes[900_000], Is.EqualTo(5));
        subscriber.Dispose();
        Assert.That(bytes[900_000], Is.Zero, "its memory went with the subscriber");
    }

    [Test]
    public async Task Removing_a_channel_takes_no_block_of_the_next_one_of_that_name()
    {
        bool stop = false;
        Task removing = Watchdog.RunOnThread(() =>
        {
            while (!Volatile.Read(ref stop))
            {
                try
                {
                    _workspace.Transport.RemoveQueue("jobs");
                }
                catch (IOException)
                {
                    // In use just now.
                }
            }
        });
        for (int i = 0; i < 300; i++)
        {
            using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", Small), other = _workspace.Transport.OpenQueue("jobs");
            queue.TrySend(new byte[5000]);
            Assert.That(other.TryLease(out WorkLease lease), Is.True);
            lease.Complete();
        }

        Volatile.Write(ref stop, true);
        await Watchdog.WaitAsync(removing);
    }

    [Test]
    public void Removing_a_channel_takes_nothing_of_one_whose_name_begins_alike()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("a.stream-deadbeef.x", Small);
        queue.TrySend(new byte[5000]);
        _workspace.Transport.OpenSender("a").Dispose();
        Assert.That(_workspace.Transport.RemoveStream("a"), Is.True);
        Assert.That(queue.TryLease(out WorkLease lease) && lease.Complete(), Is.True);
        Assert.That(Directory.GetFiles(_workspace.Directory, "*.pool"), Has.Length.EqualTo(1));
    }

    [Test]
    public void A_message_whose_block_was_deleted_is_reported_once_and_blocks_no_other_lane()
    {
        using MessageSender one = _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 4096 }),
            two = _workspace.Transport.OpenSender("frames");
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        one.TryLoan(100, out Loan loan);
        one.TrySend(loan, 100);
        for (int i = 0; i < 5; i++) two.TrySend(new byte[20]);
        foreach (string file in Directory.GetFiles(_workspace.Directory, "*.block")) File.Delete(file);
        int told = 0, got = 0;
        for (int i = 0; i < 20; i++)
        {
            try
            {
                if (!receiver.TryReceive(out ReadLease lease)) continue;
                got++;
                lease.Dispose();
            }
            catch (CorruptSegmentException e)
            {
                Assert.That(e.Message, Does.Contain("does not exist, but a message refers to it"));
                told++;
            }
        }

        Assert.That((told, got), Is.EqualTo((1, 5)));
    }

    [Test]
    public void A_deleted_pool_is_reported_and_no_message_is_read_as_another()
    {
        using WorkQueue old = _workspace.Transport.OpenQueue("jobs", Small);
        byte[] one = new byte[5000], two = new byte[5000];
        one.AsSpan().Fill(1);
        two.AsSpan().Fill(2);
        old.TrySend(one);
        foreach (string file in Directory.GetFiles(_workspace.Directory, "*.pool")) File.Delete(file);
        using WorkQueue fresh = _workspace.Transport.OpenQueue("jobs");
        Assert.That(fresh.TrySend(two), Is.True);
        Assert.That(old.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Payload.Span[0], Is.EqualTo(1));
        lease.Complete();
        Assert.Throws<CorruptSegmentException>(() => old.TryLease(out _), "the other pool's, and not one's own block of that number");
        Watchdog.Until(() => Refuses(old), "the handle to notice");
        foreach (DeadLetter letter in old.GetDeadLetters()) old.DeleteDeadLetter(letter.Id);

        static bool Refuses(WorkQueue queue)
        {
            try
            {
                if (queue.TryLoan(5000, out Loan loan)) loan.Dispose();
                return false;
            }
            catch (SegmentRemovedException)
            {
                return true;
            }
        }
    }

    private void Overwrite(string name, Func<byte[], (int At, byte[] Bytes)> what)
    {
        using var file = new FileStream(Path.Combine(_workspace.Directory, name), FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite,
            0);
        byte[] all = new byte[file.Length];
        file.ReadExactly(all);
        (int at, byte[] bytes) = what(all);
        file.Position = at;
        file.Write(bytes);
    }
}
