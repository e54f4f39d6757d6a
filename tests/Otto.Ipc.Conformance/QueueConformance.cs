using System.Collections.Concurrent;

namespace Otto.Ipc.Conformance;

// What every work queue promises, whichever transport carries it. A transport's test hands in a factory and gets all of these.

/// <summary>A fresh queue of one transport, for one test.</summary>
public interface IQueueHarness : IDisposable
{
    /// <summary>How many attempts the queue allows.</summary>
    int MaxAttempts { get; }

    /// <summary>Opens another handle of the same queue, which holds 16 messages of 256 bytes.</summary>
    WorkQueue Open();
}

/// <summary>The suite of the queue shape.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public abstract partial class QueueConformance
{
    private readonly ConcurrentBag<WorkQueue> _others = [];
    // A test and a thread that it started may be the first to ask, both at once.
    private readonly Lock _opening = new();
    private IQueueHarness? _harness;
    private WorkQueue? _queue;

    protected WorkQueue Queue
    {
        get
        {
            lock (_opening) return _queue ??= Harness.Open();
        }
    }

    /// <summary>How often a wait is cancelled beside a send.</summary>
    protected virtual int Cancellations => 3_000;

    /// <summary>How many messages each of many senders sends: what a busy machine passes
    /// well within the watchdog.</summary>
    protected virtual int MessagesOfEach => 10_000;

    private IQueueHarness Harness
    {
        get
        {
            lock (_opening) return _harness ??= CreateHarness();
        }
    }

    /// <summary>Makes a queue that no other test knows.</summary>
    protected abstract IQueueHarness CreateHarness();

    [SetUp]
    public void Open() => _ = Queue;

    [TearDown]
    public void Close()
    {
        foreach (WorkQueue other in _others) other.Dispose();
        _queue?.Dispose();
        _harness?.Dispose();
    }

    [Test]
    public void A_message_is_leased_as_it_was_sent()
    {
        Assert.That(Queue.TrySend("work"u8), Is.True);
        WorkLease lease = Lease();
        Assert.That(lease.Payload.ToArray(), Is.EqualTo("work"u8.ToArray()));
        Assert.That(lease.Attempt, Is.EqualTo(1));
        Assert.That(lease.Complete(), Is.True);
    }

    [Test]
    public void A_worker_that_completes_in_order_gets_messages_in_order()
    {
        for (int round = 0; round < 20; round++)
        {
            for (int i = 0; i < 10; i++) Queue.TrySend(Payload.Make(round, i, 30));
            for (int i = 0; i < 10; i++) Assert.That(Work(), Is.EqualTo(Payload.Make(round, i, 30)));
        }
    }

    [Test]
    public void An_empty_queue_is_an_answer_and_not_an_error()
    {
        Assert.That(Queue.TryLease(out WorkLease lease), Is.False);
        Assert.That(lease.Complete(), Is.False, "a default lease holds nothing");
        Assert.That(Queue.WaitToLease(TimeSpan.Zero), Is.False);
    }

    [Test]
    public void A_full_queue_is_an_answer_and_drops_nothing()
    {
        int sent = FillUp();
        Assert.That(sent, Is.EqualTo(Queue.Capacity));
        Assert.That(Queue.TrySend("x"u8), Is.False);
        Assert.That(Queue.TryReserve(1, out _), Is.False);
        Assert.That(Queue.TrySendAndLease("x"u8, out _), Is.False);
        for (int i = 0; i < sent; i++) Assert.That(Work(), Is.EqualTo(Payload.Make(1, i, 100)));
        Assert.That(Queue.TryLease(out _), Is.False);
    }

    [Test]
    public void A_message_over_the_limit_throws_both_sizes_and_takes_no_room()
    {
        int limit = Queue.MaxMessageBytes;
        var thrown = Assert.Throws<ArgumentOutOfRangeException>(() => Queue.TrySend(new byte[limit + 1]));
        Assert.That(thrown!.Message, Does.Contain($"{limit + 1:N0}").And.Contain($"{limit:N0}"));
        Assert.Throws<ArgumentOutOfRangeException>(() => Queue.TryReserve(limit + 1, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => Queue.TryReserve(-1, out _));
        Assert.Throws<ArgumentOutOfRangeException>(() => Queue.TrySendAndLease(new byte[limit + 1], out _));
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public void Messages_of_no_bytes_and_of_exactly_the_limit_arrive()
    {
        byte[] all = [.. Enumerable.Range(0, Queue.MaxMessageBytes).Select(i => (byte)i)];
        Queue.TrySend([]);
        Queue.TrySend(all);
        Assert.That(Work(), Is.Empty);
        Assert.That(Work(), Is.EqualTo(all));
    }

    [Test]
    public void Only_one_lease_is_given_of_a_message()
    {
        WorkQueue other = OpenOther();
        Queue.TrySend("x"u8);
        WorkLease lease = Lease();
        Assert.That(Queue.TryLease(out _), Is.False);
        Assert.That(other.TryLease(out _), Is.False);
        lease.Complete();
    }

    [Test]
    public void The_first_end_of_a_lease_counts()
    {
        Queue.TrySend("x"u8);
        WorkLease lease = Lease(), copy = lease;
        Assert.That(lease.Complete(), Is.True);
        Assert.That(lease.Complete(), Is.False);
        Assert.That(copy.Abandon(), Is.False);
        Assert.That(copy.DeadLetter("late"), Is.False);
        Assert.That(copy, Is.EqualTo(lease));
        Assert.That(Queue.GetCounts(), Has.Property("Free").EqualTo(Queue.Capacity).And.Property("Dead").Zero);
    }

    [Test]
    public void An_ended_lease_cannot_end_the_next_lease_of_the_same_slot()
    {
        Queue.TrySend("x"u8);
        WorkLease old = Lease();
        old.Abandon(countAttempt: false);
        WorkLease current = Lease();
        Assert.That(old.Complete(), Is.False);
        Assert.That(old.Abandon(), Is.False);
        Assert.That(old.DeadLetter("no"), Is.False);
        Assert.That(current.Complete(), Is.True);
    }

    [Test]
    public void An_abandoned_message_is_redelivered_with_its_attempt_counted()
    {
        Queue.TrySend("x"u8);
        Lease().Abandon();
        WorkLease second = Lease();
        Assert.That(second.Attempt, Is.EqualTo(2));
        second.Abandon(countAttempt: false);
        WorkLease third = Lease();
        Assert.That(third.Attempt, Is.EqualTo(2), "a try that was never started does not count");
        third.Complete();
    }

    [Test]
    public void A_message_past_the_attempt_limit_is_given_up()
    {
        Queue.TrySend("x"u8);
        for (int i = 1; i <= Harness.MaxAttempts; i++)
        {
            WorkLease lease = Lease();
            Assert.That(lease.Attempt, Is.EqualTo(i));
            lease.Abandon();
        }

        Assert.That(Queue.TryLease(out _), Is.False);
        DeadLetter letter = Queue.GetDeadLetters().Single();
        Assert.That(letter.Payload.ToArray(), Is.EqualTo("x"u8.ToArray()));
        Assert.That(letter.Attempts, Is.EqualTo(Harness.MaxAttempts));
        Assert.That(letter.Reason, Does.Contain($"{Harness.MaxAttempts}"));
    }

    [Test]
    public void A_dead_letter_keeps_its_payload_and_its_reason()
    {
        Queue.TrySend("bad"u8);
        Assert.That(Lease().DeadLetter("no such file: ü"), Is.True);
        DeadLetter letter = Queue.GetDeadLetters().Single();
        Assert.That(letter.Payload.ToArray(), Is.EqualTo("bad"u8.ToArray()));
        Assert.That(letter.Reason, Is.EqualTo("no such file: ü"));
        Assert.That(Queue.GetCounts().Dead, Is.EqualTo(1));
        Assert.That(Queue.GetDeadLetters(0), Is.Empty);
    }

    [Test]
    public void A_reason_too_long_to_keep_is_cut_and_not_refused()
    {
        Queue.TrySend("bad"u8);
        string reason = new('é', 5_000);
        Assert.That(Lease().DeadLetter(reason), Is.True);
        Assert.That(reason, Does.StartWith(Queue.GetDeadLetters().Single().Reason));
    }

    [Test]
    public void A_requeued_letter_is_work_again_with_its_attempts_forgotten()
    {
        Queue.TrySend("again"u8);
        Lease().DeadLetter("later");
        DeadLetterId id = Queue.GetDeadLetters().Single().Id;
        Assert.That(Queue.RequeueDeadLetter(id), Is.True);
        Assert.That(Queue.RequeueDeadLetter(id), Is.False);
        Assert.That(Queue.DeleteDeadLetter(id), Is.False);
        WorkLease lease = Lease();
        Assert.That(lease.Attempt, Is.EqualTo(1));
        lease.Complete();
    }

    [Test]
    public void A_dropped_letter_makes_room()
    {
        FillUp();
        Lease().DeadLetter("never");
        Assert.That(Queue.TrySend("x"u8), Is.False, "a dead letter takes room");
        DeadLetterId id = Queue.GetDeadLetters().Single().Id;
        Assert.That(Queue.DeleteDeadLetter(id), Is.True);
        Assert.That(Queue.DeleteDeadLetter(id), Is.False);
        Assert.That(Queue.TrySend("x"u8), Is.True);
    }

    [Test]
    public void A_kept_message_is_leased_from_the_start_and_never_ready()
    {
        Assert.That(Queue.TrySendAndLease("mine"u8, out WorkLease kept), Is.True);
        Assert.That(kept.Attempt, Is.EqualTo(1));
        Assert.That(kept.Payload.ToArray(), Is.EqualTo("mine"u8.ToArray()));
        Assert.That(OpenOther().TryLease(out _), Is.False);
        Assert.That(Queue.GetCounts().Leased, Is.EqualTo(1));
        Assert.That(kept.Complete(), Is.True);
    }

    [Test]
    public void A_kept_message_that_is_abandoned_goes_to_anyone()
    {
        Queue.TrySendAndLease("mine"u8, out WorkLease kept);
        kept.Abandon();
        Assert.That(OpenOther().TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Attempt, Is.EqualTo(2));
        lease.Complete();
    }

    [Test]
    public void Held_leases_take_room_and_stop_no_other_worker()
    {
        FillUp();
        WorkLease[] held = [Lease(), Lease(), Lease()];
        while (Queue.TryLease(out WorkLease lease)) lease.Complete();
        for (int round = 0; round < 200; round++)
        {
            Assert.That(FillUp(), Is.EqualTo(Queue.Capacity - held.Length));
            for (int i = 0; i < Queue.Capacity - held.Length; i++) Assert.That(Work(), Is.EqualTo(Payload.Make(1, i, 100)));
        }

        foreach (WorkLease lease in held) Assert.That(lease.Complete(), Is.True);
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public void Counts_show_what_the_queue_holds()
    {
        for (int i = 0; i < 5; i++) Queue.TrySend("x"u8);
        WorkLease lease = Lease();
        Lease().DeadLetter("no");
        WorkQueueCounts counts = Queue.GetCounts();
        Assert.That((counts.Ready, counts.Leased, counts.Dead, counts.Free), Is.EqualTo((3, 1, 1, Queue.Capacity - 5)));
        lease.Complete();
    }

    [Test]
    public void The_age_of_the_oldest_ready_message_grows()
    {
        Assert.That(Queue.GetCounts().OldestReadyAge, Is.EqualTo(TimeSpan.Zero));
        Queue.TrySend("x"u8);
        Watchdog.Until(() => Queue.GetCounts().OldestReadyAge > TimeSpan.Zero, "the age to grow");
    }

    [Test]
    public void A_handle_knows_whether_others_take_work()
    {
        WorkQueue other = OpenOther();
        Assert.That(Queue.IsConsumer, Is.False);
        Assert.That(Queue.OtherConsumers, Is.Zero);
        other.SetConsumer(true);
        Assert.That(Queue.OtherConsumers, Is.EqualTo(1));
        Assert.That(other.OtherConsumers, Is.Zero, "a handle does not count itself");
        Queue.SetConsumer(true);
        Assert.That(other.OtherConsumers, Is.EqualTo(1));
        other.SetConsumer(false);
        Assert.That(Queue.OtherConsumers, Is.Zero);
    }

    [Test]
    public void A_disposed_worker_no_longer_counts()
    {
        WorkQueue other = OpenOther();
        other.SetConsumer(true);
        Assert.That(Queue.OtherConsumers, Is.EqualTo(1));
        other.Dispose();
        Assert.That(Queue.OtherConsumers, Is.Zero);
    }

    private WorkQueue OpenOther()
    {
        WorkQueue other = Harness.Open();
        _others.Add(other);
        return other;
    }

    private int FillUp()
    {
        int sent = 0;
        while (Queue.TrySend(Payload.Make(1, sent, 100))) sent++;
        return sent;
    }

    private WorkLease Lease() =>
        Queue.TryLease(out WorkLease lease) ? lease : throw new AssertionException("a message was expected, the queue is empty");

    private byte[] Work()
    {
        WorkLease lease = Lease();
        byte[] bytes = lease.Payload.ToArray();
        Assert.That(lease.Complete(), Is.True);
        return bytes;
    }
}
