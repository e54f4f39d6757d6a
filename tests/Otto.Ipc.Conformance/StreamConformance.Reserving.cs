namespace Otto.Ipc.Conformance;

// Reserve, write in place, commit: the part of the suite that holds a slot open.

public abstract partial class StreamConformance
{
    [Test]
    public void A_reserved_slot_is_seen_only_once_it_is_committed()
    {
        Assert.That(Sender.TryReserve(5, out WriteSlot slot), Is.True);
        "hello"u8.CopyTo(slot.Bytes);
        Assert.That(TryReceive(), Is.Null);
        slot.Commit(5);
        Assert.That(Receive(), Is.EqualTo("hello"u8.ToArray()));
    }

    [Test]
    public void A_slot_may_be_committed_shorter_than_it_was_reserved()
    {
        Sender.TryReserve(500, out WriteSlot slot);
        slot.Bytes.Fill(7);
        slot.Commit(3);
        Sender.TrySend("next"u8);
        Assert.That(Receive(), Is.EqualTo(new byte[] { 7, 7, 7 }));
        Assert.That(Receive(), Is.EqualTo("next"u8.ToArray()));
    }

    [Test]
    public void Committing_more_than_was_reserved_throws_and_leaves_the_slot_open()
    {
        Sender.TryReserve(4, out WriteSlot slot);
        string message = "";
        try
        {
            slot.Commit(5);
        }
        catch (ArgumentOutOfRangeException e)
        {
            message = e.Message;
        }

        Assert.That(message, Does.Contain("5").And.Contain("4"));
        "fine"u8.CopyTo(slot.Bytes);
        slot.Commit(4);
        Assert.That(Receive(), Is.EqualTo("fine"u8.ToArray()));
    }

    [Test]
    public void A_disposed_slot_sends_nothing()
    {
        Sender.TryReserve(5, out WriteSlot slot);
        slot.Dispose();
        Assert.That(TryReceive(), Is.Null);
        Sender.TrySend("x"u8);
        Assert.That(Receive(), Is.EqualTo("x"u8.ToArray()));
    }

    [Test]
    public void Committing_twice_throws_and_sends_once()
    {
        Sender.TryReserve(1, out WriteSlot slot);
        WriteSlot copy = slot;
        slot.Bytes[0] = 9;
        slot.Commit(1);
        Assert.That(Refuses(slot), Is.True);
        Assert.That(Refuses(copy), Is.True);
        copy.Dispose();
        Assert.That(Receive(), Is.EqualTo(new byte[] { 9 }));
        Assert.That(TryReceive(), Is.Null);
    }

    [Test]
    public void A_copy_of_an_aborted_slot_does_not_touch_the_next_reservation()
    {
        Sender.TryReserve(4, out WriteSlot first);
        first.Dispose();
        Assert.That(Sender.TryReserve(4, out WriteSlot second), Is.True);
        "kept"u8.CopyTo(second.Bytes);
        first.Dispose();
        Assert.That(Refuses(first), Is.True, "the first slot was aborted; it must not commit the second's bytes");
        second.Commit(4);
        Assert.That(Receive(), Is.EqualTo("kept"u8.ToArray()));
        Assert.That(TryReceive(), Is.Null);
    }

    [Test]
    public void While_a_slot_is_open_other_sends_are_refused()
    {
        Sender.TryReserve(4, out WriteSlot slot);
        Assert.Throws<InvalidOperationException>(() => Sender.TrySend("x"u8));
        slot.Dispose();
        Assert.That(Sender.TrySend("x"u8), Is.True);
    }

    [Test]
    public void A_slot_outlives_the_dispose_of_its_sender_until_it_is_committed()
    {
        Sender.TryReserve(4, out WriteSlot slot);
        Sender.Dispose();
        "last"u8.CopyTo(slot.Bytes);
        slot.Commit(4);
        Assert.That(Receive(), Is.EqualTo("last"u8.ToArray()));
    }

    [Test]
    public void A_lease_outlives_the_dispose_of_its_receiver()
    {
        Sender.TrySend("held"u8);
        Receiver.TryReceive(out ReadLease lease);
        Receiver.Dispose();
        Assert.That(lease.Bytes.ToArray(), Is.EqualTo("held"u8.ToArray()));
        lease.Dispose();
        lease.Dispose();
        Reopen();
        Assert.That(TryReceive(), Is.Null);
    }

    [Test]
    public void Slots_and_leases_that_ended_may_be_disposed_after_their_ends_were()
    {
        Sender.TryReserve(1, out WriteSlot slot);
        slot.Commit(1);
        Receiver.TryReceive(out ReadLease lease);
        lease.Dispose();
        Sender.Dispose();
        Receiver.Dispose();
        slot.Dispose();
        lease.Dispose();
        Assert.That(Refuses(slot), Is.True);
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
