namespace Otto.Ipc.Mmap.Tests.Fundamentals;

// How to hand over much at the price of little. Each test is a page; read them in order.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LoanFundamentals
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Page_1_Borrow_a_block_write_it_in_place_and_send_it()
    {
        using MessageSender camera = _workspace.Transport.OpenSender("frames");
        using MessageReceiver screen = _workspace.Transport.OpenReceiver("frames");

        Assert.That(camera.TryLoan(8_000_000, out Loan frame), Is.True); // false: all blocks are lent; try again
        frame.Span.Fill(0x7F);
        Assert.That(camera.TrySend(frame, 8_000_000), Is.True); // from here on it is the receiver's

        Assert.That(screen.TryReceive(out ReadLease lease), Is.True);
        using (lease) Assert.That(lease.Bytes[7_999_999], Is.EqualTo(0x7F)); // the sender's bytes, where it wrote them
    }

    [Test]
    public void Page_2_A_queue_lends_by_itself_what_is_larger_than_its_slots()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { SlotBytes = 256 });

        queue.TrySend(new byte[1_000_000]);

        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Payload.Length, Is.EqualTo(1_000_000));
        lease.Complete(); // and the block is free
    }

    [Test]
    public void Page_3_Keep_the_bytes_when_the_task_is_done()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { SlotBytes = 256 });
        queue.TrySend(new byte[1_000_000]);
        queue.TryLease(out WorkLease lease);

        using RetainedPayload hold = lease.Retain();
        lease.Complete();

        Assert.That(hold.Payload.Length, Is.EqualTo(1_000_000)); // until the hold is disposed
    }

    [Test]
    public void Page_4_A_loan_that_is_not_sent_is_returned()
    {
        using MessageSender camera = _workspace.Transport.OpenSender("frames");

        camera.TryLoan(8_000_000, out Loan frame);
        using (frame)
        {
            // On second thoughts.
        }

        Assert.Throws<InvalidOperationException>(() => camera.TrySend(frame, 1));
    }
}
