using System.Collections.Concurrent;
using System.Diagnostics;
using Otto.Ipc.Transports;

namespace Otto.Ipc.Conformance;

// Not before a time, cancelling by name, and batches.

public abstract partial class QueueConformance
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(60), Long = TimeSpan.FromHours(1);

    [Test]
    public void A_delayed_message_is_not_leased_before_its_time()
    {
        long start = Stopwatch.GetTimestamp();
        Assert.That(Queue.TrySend("later"u8, Short, out _), Is.True);
        WorkLease lease = default;
        Watchdog.Until(() => Queue.TryLease(out lease), "the message to be due");
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(Short));
        Assert.That(lease.Payload.ToArray(), Is.EqualTo("later"u8.ToArray()));
        Assert.That((lease.Attempt, lease.Complete()), Is.EqualTo((1, true)));
    }

    [Test]
    public void A_repeated_message_is_delivered_as_new([Values] bool later)
    {
        TimeSpan delay = later ? Short : TimeSpan.Zero;
        WorkLease lease = default;
        Queue.TrySend("again"u8);
        Assert.That(Queue.TryLease(out lease) && lease.Abandon(countAttempt: true) && Queue.TryLease(out lease), Is.True);
        Assert.That(lease.Attempt, Is.EqualTo(2));
        long start = Stopwatch.GetTimestamp();
        Assert.That((lease.Repeat(delay), lease.Repeat(delay), lease.Complete()), Is.EqualTo((true, false, false)));
        Watchdog.Until(() => Queue.TryLease(out lease), "the message to come again");
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(delay));
        Assert.That((lease.Attempt, lease.Complete()), Is.EqualTo((1, true)));
        Assert.That(() => lease.Repeat(TimeSpan.FromTicks(-1)), Throws.TypeOf<ArgumentOutOfRangeException>());
    }

    [Test]
    public async Task A_worker_that_waits_is_woken_when_a_message_is_due([Values] bool blocks, [Values] bool sentBefore)
    {
        if (sentBefore) OpenOther().TrySend("later"u8, Short, out _);
        long start = Stopwatch.GetTimestamp();
        Task waiting = blocks ? Watchdog.RunOnThread(() => Queue.WaitToLease(Timeout.InfiniteTimeSpan)) : Queue.WaitToLeaseAsync().AsTask();
        if (!sentBefore) OpenOther().TrySend("later"u8, Short, out _);
        await Watchdog.WaitAsync(waiting);
        if (!sentBefore) Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(Short));
        Assert.That(Work(), Is.EqualTo("later"u8.ToArray()));
    }

    [Test]
    public async Task A_worker_that_waits_for_a_late_message_is_woken_for_an_earlier_one()
    {
        Queue.TrySend("late"u8, Long, out _);
        ValueTask<WorkLease> waiting = Queue.LeaseAsync();
        OpenOther().TrySend("early"u8, Short, out _);
        WorkLease lease = await Watchdog.WaitAsync(waiting);
        Assert.That(lease.Payload.ToArray(), Is.EqualTo("early"u8.ToArray()));
        lease.Complete();
        Assert.That(Queue.TryLease(out _), Is.False, "the other is for later");
    }

    [Test]
    public void Delayed_messages_come_in_the_order_of_their_times_and_block_no_other()
    {
        SendLatestFirst(TimeSpan.FromMilliseconds(200));
        Queue.TrySend("now"u8);
        Assert.That(Work(), Is.EqualTo("now"u8.ToArray()));
        for (int i = 4; i >= 0; i--)
        {
            Assert.That(Queue.WaitToLease(Watchdog.Limit), Is.True);
            Assert.That(Work(), Is.EqualTo(new[] { (byte)i }));
        }
    }

    [Test]
    public void Messages_that_fell_due_while_no_worker_ran_come_in_the_order_of_their_times()
    {
        SendLatestFirst(TimeSpan.FromMilliseconds(20));
        long start = Stopwatch.GetTimestamp();
        Watchdog.Until(() => Stopwatch.GetElapsedTime(start) > TimeSpan.FromMilliseconds(120), "all to be due");
        Assert.That(Enumerable.Range(0, 5).Select(_ => Work()[0]), Is.EqualTo(new byte[] { 4, 3, 2, 1, 0 }));
    }

    [Test]
    public void Messages_of_one_delay_that_fell_due_while_no_worker_ran_come_in_the_order_of_sending()
    {
        for (int i = 0; i < Queue.Capacity; i++) Assert.That(Queue.TrySend([(byte)i], Short, out _), Is.True);
        long start = Stopwatch.GetTimestamp();
        Watchdog.Until(() => Stopwatch.GetElapsedTime(start) > Short * 2, "all to be due");
        Assert.That(Enumerable.Range(0, Queue.Capacity).Select(_ => Work()[0]),
            Is.EqualTo(Enumerable.Range(0, Queue.Capacity).Select(static i => (byte)i)));
    }

    [Test]
    public void A_delay_of_nothing_is_none()
    {
        Queue.TrySend("now"u8, TimeSpan.Zero, out _);
        Assert.That(Work(), Is.EqualTo("now"u8.ToArray()));
    }

    [Test]
    public void A_delay_that_makes_no_sense_is_refused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Queue.TrySend("x"u8, TimeSpan.FromTicks(-1), out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => Queue.TrySend("x"u8, WorkQueue.MaxDelay + TimeSpan.FromTicks(1), out _));
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
        Assert.That(Queue.TrySend("x"u8, WorkQueue.MaxDelay, out WorkId id), Is.True);
        Assert.That(Queue.Cancel(id), Is.True);
    }

    [Test]
    public void Counts_distinguish_delayed_from_ready()
    {
        Queue.TrySend("x"u8, Long, out _);
        Queue.TrySend("y"u8);
        WorkQueueCounts counts = Queue.GetCounts();
        Assert.That((counts.Ready, counts.Delayed, counts.Free), Is.EqualTo((1, 1, Queue.Capacity - 2)));
    }

    [Test]
    public void The_age_of_the_oldest_lease_grows()
    {
        Queue.TrySend("x"u8);
        Assert.That(Queue.GetCounts().OldestLeaseAge, Is.EqualTo(TimeSpan.Zero));
        WorkLease lease = Lease();
        Watchdog.Until(() => Queue.GetCounts().OldestLeaseAge > TimeSpan.FromMilliseconds(20), "the age to grow");
        Assert.That(Queue.GetCounts().OldestLeaseAge, Is.LessThan(Watchdog.Limit));
        lease.Complete();
        Assert.That(Queue.GetCounts().OldestLeaseAge, Is.EqualTo(TimeSpan.Zero));
    }

    [Test]
    public void A_message_released_with_a_delay_is_delivered_later_and_counted()
    {
        Queue.TrySend("again"u8);
        long start = Stopwatch.GetTimestamp();
        Assert.That(Lease().Abandon(countAttempt: true, Short), Is.True);
        Assert.That(Queue.WaitToLease(Watchdog.Limit), Is.True);
        WorkLease again = Lease();
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(Short));
        Assert.That((again.Attempt, again.Complete()), Is.EqualTo((2, true)));
    }

    [Test]
    public void A_message_released_with_a_long_delay_is_counted_as_delayed()
    {
        Queue.TrySend("again"u8);
        Assert.That(Lease().Abandon(countAttempt: true, Long), Is.True);
        Assert.That(Queue.GetCounts().Delayed, Is.EqualTo(1));
    }

    [Test]
    public void A_lease_that_ended_cannot_be_released_with_a_delay()
    {
        Queue.TrySend("x"u8);
        WorkLease lease = Lease();
        lease.Complete();
        Assert.That(lease.Abandon(countAttempt: true, Short), Is.False);
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public void A_message_released_with_a_delay_too_often_becomes_a_dead_letter()
    {
        Queue.TrySend("x"u8);
        for (int i = 0; i < Harness.MaxAttempts; i++)
        {
            Queue.WaitToLease(Watchdog.Limit);
            Lease().Abandon(countAttempt: true, TimeSpan.FromMilliseconds(1));
        }

        Assert.That(Queue.GetDeadLetters(), Has.Count.EqualTo(1));
    }

    [Test]
    public void A_cancelled_message_is_never_delivered_and_the_others_keep_their_order()
    {
        WorkId[] ids = new WorkId[10];
        for (int i = 0; i < ids.Length; i++) Queue.TrySend([(byte)i], TimeSpan.Zero, out ids[i]);
        foreach (int i in new[] { 0, 1, 4, 9 }) Assert.That(OpenOther().Cancel(ids[i]), Is.True);
        foreach (byte i in new byte[] { 2, 3, 5, 6, 7, 8 }) Assert.That(Work(), Is.EqualTo(new[] { i }));
        Assert.That(Queue.TryLease(out _), Is.False);
        WorkQueueCounts counts = Queue.GetCounts();
        Assert.That((counts.Ready, counts.Cancelled, counts.Free), Is.EqualTo((0, 0, Queue.Capacity)));
    }

    [Test]
    public void Only_a_message_that_no_worker_has_begun_can_be_cancelled()
    {
        Queue.TrySend("x"u8, TimeSpan.Zero, out WorkId id);
        WorkLease lease = Lease();
        Assert.That(Queue.Cancel(id), Is.False, "leased");
        lease.Abandon(countAttempt: false);
        Assert.That(Queue.Cancel(id), Is.True, "given back");
        Assert.That(Queue.Cancel(id), Is.False, "cancelled before");
        Queue.TrySend("y"u8, TimeSpan.Zero, out id);
        Lease().Complete();
        Assert.That(Queue.Cancel(id), Is.False, "completed");
        Queue.TrySend("z"u8, TimeSpan.Zero, out id);
        Lease().DeadLetter("no");
        Assert.That(Queue.Cancel(id), Is.False, "given up");
        Assert.That(Queue.Cancel(default), Is.False);
        Assert.That(Queue.Cancel(WorkId.FromToken(new SlotToken(0, int.MaxValue))), Is.False);
        Assert.That(Queue.Cancel(WorkId.FromToken(new SlotToken(0, -1))), Is.False);
    }

    [Test]
    public void An_old_name_does_not_cancel_a_later_message_in_the_same_place()
    {
        var names = new List<WorkId>();
        for (int i = 0; i < Queue.Capacity * 3; i++)
        {
            Queue.TrySend("x"u8, TimeSpan.Zero, out WorkId id);
            names.Add(id);
            Lease().Complete();
        }

        Assert.That(names.Distinct().Count(), Is.EqualTo(names.Count));
        while (Queue.TrySend("y"u8)) { }
        foreach (WorkId old in names) Assert.That(Queue.Cancel(old), Is.False);
        Assert.That(Queue.GetCounts().Ready, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public void A_cancelled_delayed_message_gives_its_room_back_at_once()
    {
        Queue.TrySend("ready"u8);
        Queue.TrySend("x"u8, Long, out WorkId id);
        Assert.That(Queue.Cancel(id), Is.True);
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity - 1));
    }

    [Test]
    public async Task A_sender_that_waits_for_room_gets_that_of_cancelled_messages()
    {
        WorkId[] ids = new WorkId[Queue.Capacity];
        for (int i = 0; i < ids.Length; i++) Queue.TrySend([(byte)i], TimeSpan.Zero, out ids[i]);
        Task<bool> waiting = Watchdog.RunOnThread(() => Queue.WaitToSend(Timeout.InfiniteTimeSpan));
        foreach (WorkId id in ids.Reverse()) Assert.That(Queue.Cancel(id), Is.True);
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Assert.That(FillUp(), Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public void Sending_and_cancelling_repeatedly_exhausts_nothing()
    {
        Queue.TrySend("first"u8);
        for (int i = 0; i < Queue.Capacity * 500; i++)
        {
            Assert.That(Queue.TrySend("x"u8, i % 3 == 0 ? Long : TimeSpan.Zero, out WorkId id), Is.True, $"message {i}");
            Assert.That(Queue.Cancel(id), Is.True);
            if (i % 7 == 0)
            {
                Work();
                Queue.TrySend("first"u8);
            }
        }
    }

    [Test]
    public async Task Beside_workers_a_message_is_either_done_or_cancelled()
    {
        const int Messages = 4_000;
        int[] done = new int[Messages], cancelled = new int[Messages];
        using var stop = new CancellationTokenSource();
        Task[] workers = [.. Enumerable.Range(0, 2).Select(_ => Watchdog.RunOnThread(Take))];
        Task[] senders = [.. Enumerable.Range(0, 2).Select(sender => Watchdog.RunOnThread(() => Send(sender)))];
        await Watchdog.WaitAsync(Task.WhenAll(senders), Watchdog.BulkLimit);
        Watchdog.Until(() => Queue.GetCounts().Free + Queue.GetCounts().Cancelled == Queue.Capacity, "the queue to be empty");
        await stop.CancelAsync();
        await Watchdog.WaitAsync(Task.WhenAll(workers));
        Assert.That(done.Zip(cancelled, (d, c) => d + c), Is.All.EqualTo(1));
        Assert.That((done.Sum(), cancelled.Sum()), Is.Not.EqualTo((0, 0)));

        void Send(int sender)
        {
            WorkQueue queue = OpenOther();
            for (int i = sender; i < Messages; i += 2)
            {
                WorkId id;
                TimeSpan delay = TimeSpan.FromMilliseconds(i % 5 == 0 ? 1 : 0);
                while (!queue.TrySend(Payload.Make(1, i, 30), delay, out id)) queue.WaitToSend(Timeout.InfiniteTimeSpan);
                if (i % 3 != 0 && queue.Cancel(id)) Interlocked.Increment(ref cancelled[i]);
            }
        }

        void Take()
        {
            while (true)
            {
                if (Queue.TryLease(out WorkLease lease))
                {
                    Payload.TryRead(lease.Payload.Span, out _, out int sequence);
                    Interlocked.Increment(ref done[sequence]);
                    lease.Complete();
                    continue;
                }

                if (stop.IsCancellationRequested) return;
                try
                {
                    Queue.WaitToLease(Timeout.InfiniteTimeSpan, stop.Token);
                }
                catch (OperationCanceledException)
                {
                }
            }
        }
    }

    [Test]
    public void A_batch_is_leased_in_order_and_completed_in_one_call()
    {
        for (int i = 0; i < 10; i++) Queue.TrySend([(byte)i]);
        WorkLease[] leases = new WorkLease[6];
        Assert.That(Queue.LeaseBatch(leases), Is.EqualTo(6));
        Assert.That(leases.Select(lease => lease.Payload.Span[0]), Is.EqualTo(new byte[] { 0, 1, 2, 3, 4, 5 }));
        leases[2].Abandon(countAttempt: false);
        Assert.That(Queue.CompleteBatch(leases), Is.EqualTo(5), "one was given back");
        Assert.That(Queue.CompleteBatch(leases), Is.Zero);
        Assert.That(Queue.LeaseBatch(leases), Is.EqualTo(5));
        Assert.That(Queue.LeaseBatch(leases.AsSpan(5)), Is.Zero);
        Assert.That(Queue.LeaseBatch([]), Is.Zero);
        Assert.That(Queue.CompleteBatch(leases.AsSpan(0, 5)), Is.EqualTo(5));
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public void A_batch_completes_only_leases_of_its_own_queue()
    {
        Queue.TrySend("x"u8);
        WorkQueue other = OpenOther();
        WorkLease lease = Lease();
        Assert.That(other.CompleteBatch([lease]), Is.Zero, "another handle holds it");
        Assert.That(Queue.CompleteBatch([lease, default]), Is.EqualTo(1));
    }

    [Test]
    public void Leases_that_are_never_released_leave_the_other_slots_usable()
    {
        for (int i = 0; i < Queue.Capacity; i++) Queue.TrySend(Payload.Make(0, i, 20));
        var held = new WorkLease[Queue.Capacity - 3];
        Assert.That(Queue.LeaseBatch(held), Is.EqualTo(held.Length));
        while (Queue.TryLease(out WorkLease rest)) rest.Complete();
        // Many times round both index queues, past the point where a short ticket or lap would come again.
        for (int i = 0; i < 20_000; i++)
        {
            Assert.That(Queue.TrySend(Payload.Make(1, i, 20)), Is.True, $"message {i} with {held.Length} leases held");
            Assert.That(Work(), Is.EqualTo(Payload.Make(1, i, 20)));
        }

        Assert.That(Queue.GetCounts().Leased, Is.EqualTo(held.Length));
        Assert.That(Queue.CompleteBatch(held), Is.EqualTo(held.Length));
        Assert.That(FillUp(), Is.EqualTo(Queue.Capacity));
    }

    /// <summary>Five numbered messages for later, the first of them due last. Again where
    /// this thread lost its core in between: then their times are not those.</summary>
    private void SendLatestFirst(TimeSpan step)
    {
        var ids = new WorkId[5];
        for (int attempt = 0; attempt < 100; attempt++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < ids.Length; i++) Queue.TrySend([(byte)i], step * (ids.Length - i), out ids[i]);
            if (Stopwatch.GetElapsedTime(start) < step / 2) return;
            foreach (WorkId id in ids) Assert.That(Queue.Cancel(id), Is.True);
        }

        Assert.Fail($"five messages could not be sent within {step / 2} in a hundred tries");
    }
}
