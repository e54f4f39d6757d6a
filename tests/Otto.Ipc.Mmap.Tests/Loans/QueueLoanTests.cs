using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Loans;

// Blocks handed over by reference through a queue: by request, and by themselves where a message is larger than a slot.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class QueueLoanTests
{
    private static readonly MmapQueueOptions Options = new() { Slots = 8, SlotBytes = 64, MaxAttempts = 3, MaxLoanBytes = 1 << 20 };
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_loan_is_written_in_place_and_read_in_place_by_another_handle()
    {
        using WorkQueue sender = Open(), worker = Open();
        Assert.That(sender.TryLoan(100_000, out Loan loan), Is.True);
        Assert.That(loan.Memory.Length, Is.EqualTo(100_000));
        Payload.Fill(loan.Span, 1, 7);
        Assert.That(sender.TrySend(loan, 100_000), Is.True);
        Assert.That(worker.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Payload.Span.SequenceEqual(Payload.Make(1, 7, 100_000)), Is.True);
        Assert.That(lease.Complete(), Is.True);
        Assert.That(Blocks(), Is.EqualTo((0, 1)), "the block is free, and kept for the next");
    }

    [Test]
    public void Sizes_from_one_byte_to_the_limit_arrive([Values(1, 64, 4095, 4096, 4097, 65_536, 1 << 20)] int bytes)
    {
        using WorkQueue queue = Open();
        queue.TryLoan(bytes, out Loan loan);
        loan.Span.Fill((byte)bytes);
        queue.TrySend(loan, bytes);
        WorkLease lease = Lease(queue);
        Assert.That((lease.Payload.Length, lease.Payload.Span.ContainsAnyExcept((byte)bytes)), Is.EqualTo((bytes, false)));
        lease.Complete();
    }

    [Test]
    public void What_cannot_be_lent_is_refused_with_the_numbers()
    {
        using WorkQueue queue = Open();
        Assert.That(Assert.Throws<ArgumentOutOfRangeException>(() => queue.TryLoan((1 << 20) + 1, out _))!.Message,
            Does.Contain("1,048,577").And.Contain("1,048,576"));
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.TryLoan(0, out _));
        queue.TryLoan(10, out Loan loan);
        Assert.Throws<ArgumentOutOfRangeException>(() => queue.TrySend(loan, 11));
        using WorkQueue other = _workspace.Transport.OpenQueue("others", Options with { SlotBytes = 16 });
        Assert.Throws<ArgumentException>(() => other.TrySend(loan, 10));
        Assert.Throws<NotSupportedException>(() => other.TryLoan(10, out _));
        Assert.That(other.MaxMessageBytes, Is.EqualTo(16), "a descriptor does not fit into its slots");
        loan.Dispose();
    }

    [Test]
    public void A_loan_is_sent_once_and_returned_once()
    {
        using WorkQueue queue = Open();
        queue.TryLoan(10, out Loan loan);
        queue.TrySend(loan, 10);
        Assert.Throws<InvalidOperationException>(() => queue.TrySend(loan, 10));
        loan.Dispose();
        Assert.That(Lease(queue).Complete(), Is.True, "disposing a loan that was sent does nothing");
        queue.TryLoan(10, out Loan second);
        second.Dispose();
        second.Dispose();
        Assert.Throws<InvalidOperationException>(() => queue.TrySend(second, 10));
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
        Assert.That(Blocks(), Is.EqualTo((0, 1)));
    }

    [Test]
    public void A_loan_that_a_full_queue_does_not_take_stays_the_senders()
    {
        using WorkQueue queue = Open();
        while (queue.TrySend("x"u8)) { }
        queue.TryLoan(5000, out Loan loan);
        Assert.That(queue.TrySend(loan, 5000), Is.False);
        Lease(queue).Complete();
        Assert.That(queue.TrySend(loan, 5000), Is.True);
    }

    [Test]
    public void A_message_larger_than_a_slot_becomes_a_loan_in_every_send_method()
    {
        using WorkQueue queue = Open();
        byte[] large = Payload.Make(3, 1, 50_000);
        Assert.That(queue.TrySend(large), Is.True);
        Assert.That(queue.TrySend(large, TimeSpan.FromMilliseconds(1), out _), Is.True);
        Assert.That(queue.TryReserve(60_000, out WriteSlot slot), Is.True);
        large.CopyTo(slot.Bytes);
        slot.Commit(large.Length);
        Assert.That(queue.TrySendAndLease(large, out WorkLease kept), Is.True);
        Assert.That(kept.Payload.Span.SequenceEqual(large), Is.True);
        kept.Abandon(countAttempt: false);
        for (int i = 0; i < 4; i++)
        {
            Assert.That(queue.WaitToLease(Watchdog.Limit), Is.True);
            WorkLease lease = Lease(queue);
            Assert.That(lease.Payload.Span.SequenceEqual(large), Is.True);
            lease.Complete();
        }

        queue.TryReserve(60_000, out WriteSlot aborted);
        aborted.Dispose();
        Assert.That(queue.GetCounts().Free, Is.EqualTo(queue.Capacity));
        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void A_block_stays_with_its_message_through_retries_dead_letters_and_requeueing()
    {
        using WorkQueue queue = Open();
        byte[] large = Payload.Make(3, 1, 50_000);
        queue.TrySend(large);
        Lease(queue).Abandon();
        Lease(queue).DeadLetter("no");
        Assert.That(Blocks().Lent, Is.EqualTo(1));
        DeadLetter letter = queue.GetDeadLetters().Single();
        Assert.That(letter.Payload.Span.SequenceEqual(large), Is.True);
        queue.RequeueDeadLetter(letter.Id);
        WorkLease again = Lease(queue);
        Assert.That(again.Payload.Span.SequenceEqual(large), Is.True);
        again.DeadLetter("no");
        queue.DeleteDeadLetter(queue.GetDeadLetters().Single().Id);
        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void A_cancelled_message_gives_its_block_back([Values] bool delayed)
    {
        using WorkQueue queue = Open();
        queue.TrySend(new byte[5000], delayed ? TimeSpan.FromHours(1) : TimeSpan.Zero, out WorkId id);
        Assert.That(queue.Cancel(id), Is.True);
        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void A_held_payload_outlives_its_message_and_goes_with_its_last_holder()
    {
        using WorkQueue queue = Open(), other = Open();
        byte[] large = Payload.Make(3, 1, 50_000);
        queue.TrySend(large);
        WorkLease lease = Lease(other);
        RetainedPayload one = lease.Retain(), two = lease.Retain();
        lease.Complete();
        Assert.That(Blocks().Lent, Is.EqualTo(1), "two hold it");
        for (int i = 0; i < 3; i++) queue.TrySend(new byte[50_000]);
        Assert.That(one.Payload.Span.SequenceEqual(large), Is.True, "no other message got its block");
        one.Dispose();
        one.Dispose();
        Assert.That(two.Payload.Span.SequenceEqual(large), Is.True);
        Assert.Throws<ObjectDisposedException>(() => _ = one.Payload);
        two.Dispose();
        Assert.That(Blocks().Lent, Is.EqualTo(3));
    }

    [Test]
    public void A_small_payload_is_held_as_a_copy()
    {
        using WorkQueue queue = Open();
        queue.TrySend("small"u8);
        WorkLease lease = Lease(queue);
        using RetainedPayload hold = lease.Retain();
        lease.Complete();
        queue.TrySend("other"u8);
        Assert.That(hold.Payload.Span.SequenceEqual("small"u8), Is.True);
        Assert.Throws<InvalidOperationException>(() => lease.Retain());
    }

    [Test]
    public void A_received_payload_stays_in_place_until_the_handle_is_closed()
    {
        WorkQueue queue = Open();
        queue.TrySend(new byte[5000]);
        WorkLease lease = Lease(queue);
        RetainedPayload hold = lease.Retain();
        queue.Dispose();
        Assert.That(lease.Payload.Length + hold.Payload.Span[4999], Is.EqualTo(5000));
        lease.Complete();
        Assert.That(hold.Payload.Span[0], Is.Zero, "a hold keeps the handle's memory");
        hold.Dispose();
        using WorkQueue next = Open();
        Assert.That(next.GetCounts().Free, Is.EqualTo(next.Capacity));
        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void Blocks_of_other_sizes_are_made_anew_when_all_are_taken_and_free_ones_give_room_back()
    {
        using WorkQueue queue = Open();
        for (int round = 0; round < 4; round++)
        {
            foreach (int bytes in (int[])[5000, 20_000, 90_000, 600_000])
            {
                for (int i = 0; i < queue.Capacity; i++) Assert.That(queue.TrySend(Payload.Make(round, i, bytes)), Is.True);
                for (int i = 0; i < queue.Capacity; i++)
                {
                    WorkLease lease = Lease(queue);
                    Assert.That(lease.Payload.Span.SequenceEqual(Payload.Make(round, i, bytes)), Is.True);
                    lease.Complete();
                }
            }
        }

        Assert.That(Blocks().Lent, Is.Zero);
    }

    [Test]
    public void A_queue_that_was_removed_takes_its_blocks_with_it()
    {
        using (WorkQueue queue = Open()) queue.TrySend(new byte[5000]);
        Assert.That(Directory.GetFiles(_workspace.Directory), Has.Length.EqualTo(3), "queue, pool, block");
        _workspace.Transport.RemoveQueue("jobs");
        Assert.That(Directory.GetFiles(_workspace.Directory), Is.Empty);
    }

    [Test]
    public void A_sent_block_survives_its_senders_handle()
    {
        using (WorkQueue queue = Open()) queue.TrySend(Payload.Make(1, 1, 5000));
        using WorkQueue next = Open();
        WorkLease lease = Lease(next);
        Assert.That(lease.Payload.Span.SequenceEqual(Payload.Make(1, 1, 5000)), Is.True);
        lease.Complete();
    }

    [Test]
    public async Task Many_senders_and_workers_exchange_blocks_of_all_sizes_and_none_is_torn_or_left()
    {
        const int Messages = 400;
        int done = 0;
        Task[] workers = [.. Enumerable.Range(0, 2).Select(_ => Watchdog.RunOnThread(() =>
        {
            using WorkQueue queue = Open();
            while (Volatile.Read(ref done) < Messages * 2)
            {
                if (!queue.TryLease(out WorkLease lease))
                {
                    queue.WaitToLease(TimeSpan.FromMilliseconds(50));
                    continue;
                }

                Assert.That(Payload.TryRead(lease.Payload.Span, out int sender, out int sequence), Is.True, $"torn: {sender}:{sequence}");
                using RetainedPayload hold = lease.Retain();
                Assert.That(lease.Complete(), Is.True);
                Assert.That(Payload.TryRead(hold.Payload.Span, out _, out int again) && again == sequence, Is.True,
                    "a held block was given to another message");
                Interlocked.Increment(ref done);
            }
        }))];
        Task[] senders = [.. Enumerable.Range(0, 2).Select(s => Watchdog.RunOnThread(() =>
        {
            using WorkQueue queue = Open();
            for (int i = 0; i < Messages; i++)
            {
                byte[] message = Payload.Make(s, i, 12 + i * 7919 % 200_000);
                while (!queue.TrySend(message)) queue.WaitToSend(Watchdog.Limit);
            }
        }))];
        await Watchdog.WaitAsync(Task.WhenAll([.. senders, .. workers]));
        using WorkQueue last = Open();
        Assert.That(last.GetCounts().Free, Is.EqualTo(last.Capacity));
        Assert.That(Blocks().Lent, Is.Zero);
    }

    private WorkQueue Open() => _workspace.Transport.OpenQueue("jobs", Options);

    private static WorkLease Lease(WorkQueue queue) =>
        queue.TryLease(out WorkLease lease) ? lease : throw new AssertionException("a message was expected");

    /// <summary>Blocks lent, and block files, told from the files.</summary>
    private (int Lent, int Files) Blocks() => PoolBytes.Count(_workspace.Directory, "jobs.queue");
}

/// <summary>Looks at a pool from outside.</summary>
internal static class PoolBytes
{
    public static (int Lent, int Files) Count(string directory, string channel)
    {
        string pool = Directory.GetFiles(directory, channel + "-*.pool").Single();
        byte[] bytes = File.ReadAllBytes(pool);
        long at = BitConverter.ToInt64(bytes, 0x18);
        int lent = 0;
        for (int i = 0; i < BitConverter.ToInt64(bytes, 0x20); i++, at += 0x40)
        {
            if ((BitConverter.ToInt64(bytes, (int)at) >> 32 & 0xF) != 0) lent++;
        }

        return (lent, Directory.GetFiles(directory, channel + "-*.block").Length);
    }
}
