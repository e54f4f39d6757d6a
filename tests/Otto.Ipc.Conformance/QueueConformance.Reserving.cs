namespace Otto.Ipc.Conformance;

// Slots and leases that outlive calls, copies of the structs, and the handle itself.

public abstract partial class QueueConformance
{
    [Test]
    public void A_reserved_message_is_ready_only_once_it_is_committed()
    {
        Assert.That(Queue.TryReserve(100, out WriteSlot slot), Is.True);
        "work"u8.CopyTo(slot.Bytes);
        Assert.That(Queue.TryLease(out _), Is.False);
        slot.Commit(4);
        Assert.That(Work(), Is.EqualTo("work"u8.ToArray()));
    }

    [Test]
    public void A_disposed_slot_sends_nothing_and_gives_its_room_back()
    {
        Queue.TryReserve(100, out WriteSlot slot);
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity - 1));
        slot.Dispose();
        slot.Dispose();
        Assert.That(Queue.GetCounts().Free, Is.EqualTo(Queue.Capacity));
        Assert.That(Queue.TryLease(out _), Is.False);
    }

    [Test]
    public void Committing_twice_throws_and_sends_once()
    {
        Queue.TryReserve(1, out WriteSlot slot);
        WriteSlot copy = slot;
        slot.Commit(1);
        Assert.That(Refuses(slot), Is.True);
        Assert.That(Refuses(copy), Is.True);
        copy.Dispose();
        Work();
        Assert.That(Queue.TryLease(out _), Is.False);
    }

    [Test]
    public void A_copy_of_an_aborted_slot_does_not_touch_the_next_reservation()
    {
        // As often as the slot comes round again.
        for (int i = 0; i < Queue.Capacity * 2; i++)
        {
            Queue.TryReserve(4, out WriteSlot first);
            first.Dispose();
            Queue.TryReserve(4, out WriteSlot second);
            first.Dispose();
            Assert.That(Refuses(first), Is.True);
            second.Commit(4);
            Work();
        }
    }

    [Test]
    public void Several_slots_may_be_open_at_once()
    {
        Queue.TryReserve(1, out WriteSlot first);
        Queue.TryReserve(1, out WriteSlot second);
        first.Bytes[0] = 1;
        second.Bytes[0] = 2;
        second.Commit(1);
        first.Commit(1);
        Assert.That(Work(), Is.EqualTo(new byte[] { 2 }), "the order is that of the commits");
        Assert.That(Work(), Is.EqualTo(new byte[] { 1 }));
    }

    [Test]
    public void A_lease_outlives_the_dispose_of_its_handle()
    {
        Queue.TrySend("held"u8);
        WorkLease lease = Lease();
        WorkQueue other = OpenOther();
        Queue.Dispose();
        Assert.That(lease.Payload.ToArray(), Is.EqualTo("held"u8.ToArray()));
        Assert.That(other.GetCounts().Leased, Is.EqualTo(1));
        Assert.That(lease.Complete(), Is.True);
        Assert.That(other.GetCounts().Free, Is.EqualTo(other.Capacity));
    }

    [Test]
    public void A_lease_may_be_abandoned_after_the_dispose_of_its_handle()
    {
        Queue.TrySend("held"u8);
        Queue.TrySend("dead"u8);
        WorkLease held = Lease(), dead = Lease();
        WorkQueue other = OpenOther();
        Queue.Dispose();
        Assert.That(held.Abandon(), Is.True);
        Assert.That(dead.DeadLetter("why"), Is.True);
        Assert.That(other.TryLease(out WorkLease again), Is.True);
        Assert.That(again.Attempt, Is.EqualTo(2));
        again.Complete();
    }

    [Test]
    public void A_slot_outlives_the_dispose_of_its_handle_until_it_is_committed()
    {
        WorkQueue other = OpenOther();
        Queue.TryReserve(4, out WriteSlot slot);
        Queue.Dispose();
        "last"u8.CopyTo(slot.Bytes);
        slot.Commit(4);
        Assert.That(other.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Payload.ToArray(), Is.EqualTo("last"u8.ToArray()));
        lease.Complete();
    }

    [Test]
    public void A_lease_that_ended_reports_it_after_its_handle_was_disposed()
    {
        Queue.TrySend("x"u8);
        WorkLease lease = Lease();
        lease.Complete();
        Queue.Dispose();
        Assert.That(lease.Complete(), Is.False);
        Assert.That(lease.Abandon(), Is.False);
        Assert.That(lease.DeadLetter("late"), Is.False);
    }

    [Test]
    public void A_slot_that_ended_may_be_disposed_after_its_handle_was()
    {
        Queue.TryReserve(1, out WriteSlot slot);
        slot.Commit(1);
        Queue.Dispose();
        slot.Dispose();
        Assert.That(Refuses(slot), Is.True);
    }

    [Test]
    public async Task Ending_a_lease_twice_beside_a_dispose_ends_it_once()
    {
        for (int i = 0; i < 300; i++)
        {
            WorkQueue handle = OpenOther();
            handle.TrySend("x"u8);
            Assert.That(handle.TryLease(out WorkLease lease), Is.True);
            using var start = new Barrier(3);
            Task<bool>[] ends = [.. Enumerable.Range(0, 2).Select(_ => Watchdog.RunOnThread(() =>
            {
                start.SignalAndWait();
                return lease.Complete();
            }))];
            start.SignalAndWait();
            handle.Dispose();
            await Watchdog.WaitAsync(Task.WhenAll(ends));
            Assert.That(ends.Count(end => end.Result), Is.EqualTo(1));
        }
    }

    private static bool Refuses(WriteSlot slot)
    {
        try
        {
            slot.Commit(1);
            return false;
        }
        catch (InvalidOperationException)
        {
            return true;
        }
    }
}
