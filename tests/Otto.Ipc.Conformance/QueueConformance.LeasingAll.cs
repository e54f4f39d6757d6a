namespace Otto.Ipc.Conformance;

// LeaseAllAsync and typed work: a message is leased when the loop asks for it, and never between.

public abstract partial class QueueConformance
{
    [Test]
    public async Task LeaseAllAsync_leases_message_after_message_and_waits_for_more()
    {
        await using IAsyncEnumerator<WorkLease> leases = Queue.LeaseAllAsync().GetAsyncEnumerator();
        for (int i = 0; i < 3; i++) Queue.TrySend(Payload.Make(1, i, 30));
        for (int i = 0; i < 3; i++)
        {
            Assert.That(await Watchdog.WaitAsync(leases.MoveNextAsync()), Is.True);
            Assert.That(leases.Current.Payload.ToArray(), Is.EqualTo(Payload.Make(1, i, 30)));
            Assert.That(Queue.GetCounts().Leased, Is.EqualTo(1), "one at a time");
            Assert.That(leases.Current.Complete(), Is.True);
        }

        ValueTask<bool> waiting = leases.MoveNextAsync();
        Assert.That(waiting.IsCompleted, Is.False);
        OpenOther().TrySend("more"u8);
        Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
        Assert.That(leases.Current.Complete(), Is.True);
    }

    [Test]
    public async Task LeaseAllAsync_that_is_left_holds_nothing_more()
    {
        for (int i = 0; i < 4; i++) Queue.TrySend("x"u8);
        await foreach (WorkLease lease in Queue.LeaseAllAsync())
        {
            lease.Complete();
            break;
        }

        WorkQueueCounts counts = Queue.GetCounts();
        Assert.That((counts.Ready, counts.Leased), Is.EqualTo((3, 0)));
    }

    [Test]
    public async Task LeaseAllAsync_that_is_cancelled_in_its_middle_loses_nothing()
    {
        using var stop = new CancellationTokenSource();
        for (int i = 0; i < 6; i++) Queue.TrySend(Payload.Make(1, i, 30));
        int done = 0;
        Assert.That(
            async () =>
            {
                await foreach (WorkLease lease in Queue.LeaseAllAsync(stop.Token))
                {
                    lease.Complete();
                    if (++done == 2) await stop.CancelAsync();
                }
            },
            Throws.InstanceOf<OperationCanceledException>());
        Assert.That(done, Is.EqualTo(2), "not one more after the token");
        WorkQueueCounts counts = Queue.GetCounts();
        Assert.That((counts.Ready, counts.Leased), Is.EqualTo((4, 0)));
        await using IAsyncEnumerator<WorkLease> leases = Queue.LeaseAllAsync().GetAsyncEnumerator();
        for (int i = 2; i < 6; i++)
        {
            Assert.That(await Watchdog.WaitAsync(leases.MoveNextAsync()), Is.True);
            Assert.That(leases.Current.Payload.ToArray(), Is.EqualTo(Payload.Make(1, i, 30)));
            leases.Current.Complete();
        }
    }

    [Test]
    public async Task LeaseAllAsync_that_is_cancelled_beside_a_send_takes_the_message_or_leaves_it()
    {
        for (int i = 0; i < Cancellations / 3; i++)
        {
            using var stop = new CancellationTokenSource();
            await using IAsyncEnumerator<WorkLease> leases = Queue.LeaseAllAsync(stop.Token).GetAsyncEnumerator();
            ValueTask<bool> waiting = leases.MoveNextAsync();
            Task cancelling = Task.Run(stop.Cancel);
            Queue.TrySend(Payload.Make(1, i, 20));
            WorkLease lease;
            try
            {
                Assert.That(await Watchdog.WaitAsync(waiting), Is.True);
                lease = leases.Current;
            }
            catch (OperationCanceledException)
            {
                lease = Lease();
            }

            await cancelling;
            Assert.That(Payload.TryRead(lease.Payload.Span, out _, out int sequence) ? sequence : -1, Is.EqualTo(i));
            Assert.That(lease.Complete(), Is.True);
        }

        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public async Task LeaseAllAsync_of_a_queue_that_is_disposed_meanwhile_throws_ObjectDisposedException()
    {
        WorkQueue other = OpenOther();
        Queue.TrySend("held"u8);
        await using IAsyncEnumerator<WorkLease> leases = other.LeaseAllAsync().GetAsyncEnumerator();
        Assert.That(await Watchdog.WaitAsync(leases.MoveNextAsync()), Is.True);
        WorkLease held = leases.Current;
        ValueTask<bool> waiting = leases.MoveNextAsync();
        other.Dispose();
        Assert.That(async () => await Watchdog.WaitAsync(waiting), Throws.InstanceOf<ObjectDisposedException>());
        Assert.That(held.Complete(), Is.True, "a lease outlives its handle's dispose");
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
    }

    [Test]
    public async Task Several_LeaseAllAsync_loops_do_every_message_once()
    {
        const int Messages = 300, Loops = 4;
        using var stop = new CancellationTokenSource();
        int[] done = new int[Messages];
        int left = Messages;
        Task[] loops = [.. Enumerable.Range(0, Loops).Select(i => Task.Run(async () =>
        {
            try
            {
                await foreach (WorkLease lease in (i % 2 == 0 ? Queue : OpenOther()).LeaseAllAsync(stop.Token))
                {
                    Assert.That(Payload.TryRead(lease.Payload.Span, out _, out int sequence), Is.True);
                    Interlocked.Increment(ref done[sequence]);
                    Assert.That(lease.Complete(), Is.True);
                    if (Interlocked.Decrement(ref left) == 0) await stop.CancelAsync();
                }
            }
            catch (OperationCanceledException)
            {
            }
        }))];
        for (int i = 0; i < Messages; i++) await Watchdog.WaitAsync(Queue.SendAsync(Payload.Make(1, i, 30)));
        await Watchdog.WaitAsync(Task.WhenAll(loops), Watchdog.BulkLimit);
        Assert.That(done, Is.All.EqualTo(1));
    }

    [Test]
    public async Task Typed_work_is_read_from_its_lease()
    {
        var order = new ConformanceOrder(3, "tea", 2.10m);
        await Queue.SendAsync(order, ConformanceJson.Default.ConformanceOrder);
        WorkLease lease = Lease();
        Assert.That(lease.Deserialize(ConformanceJson.Default.ConformanceOrder), Is.EqualTo(order));
        Assert.That(lease.Complete(), Is.True);
    }

    [Test]
    public void A_message_and_a_dead_letter_are_named_alike_each_time()
    {
        Queue.TrySend("one"u8, TimeSpan.FromHours(1), out WorkId one);
        Queue.TrySend("two"u8, TimeSpan.FromHours(1), out WorkId two);
        Assert.That(one, Is.Not.EqualTo(two));
        Assert.That(one.ToString(), Is.Not.EqualTo(two.ToString()));
        Assert.That(Queue.Cancel(one), Is.True);
        Queue.TrySend("bad"u8);
        Lease().DeadLetter("no");
        DeadLetterId first = Queue.GetDeadLetters().Single().Id, again = Queue.GetDeadLetters().Single().Id;
        Assert.That(again, Is.EqualTo(first));
        Assert.That(Queue.DeleteDeadLetter(default), Is.False);
    }
}
