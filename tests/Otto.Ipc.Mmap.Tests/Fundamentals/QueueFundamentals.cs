using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Fundamentals;

// How to use a work queue, from the first task to a dead letter. Each test is a page; read them in order.

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class QueueFundamentals
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Page_1_Send_work_lease_it_complete_it()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("thumbnails");

        queue.TrySend("photo-1.jpg"u8);

        Assert.That(queue.TryLease(out WorkLease lease), Is.True);
        Assert.That(lease.Payload.Span.SequenceEqual("photo-1.jpg"u8), Is.True);
        Assert.That(lease.Complete(), Is.True); // never delivered again
    }

    [Test]
    public async Task Page_2_Wait_for_work_without_holding_a_thread()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("thumbnails");
        ValueTask<WorkLease> next = queue.LeaseAsync();

        await queue.SendAsync("photo-1.jpg"u8.ToArray());

        WorkLease lease = await next; // a lease may cross an await
        lease.Complete();
    }

    [Test]
    public void Page_3_Give_back_what_did_not_work_out()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("thumbnails");
        queue.TrySend("photo-1.jpg"u8);

        queue.TryLease(out WorkLease first);
        first.Abandon();

        queue.TryLease(out WorkLease second);
        Assert.That(second.Attempt, Is.EqualTo(2));
        second.Complete();
    }

    [Test]
    public void Page_4_What_can_never_work_out_becomes_a_dead_letter()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("thumbnails");
        queue.TrySend("photo-1.jpg"u8);
        queue.TryLease(out WorkLease lease);
        lease.DeadLetter("not a photo");

        DeadLetter letter = queue.GetDeadLetters().Single();
        Assert.That(letter.Reason, Is.EqualTo("not a photo"));
        queue.RequeueDeadLetter(letter.Id); // once the cause is mended; or Drop

        Assert.That(queue.TryLease(out WorkLease again), Is.True);
        again.Complete();
    }

    [Test]
    public void Page_5_A_worker_that_dies_gives_its_work_back()
    {
        using WorkQueue queue =
            _workspace.Transport.OpenQueue("thumbnails", new MmapQueueOptions { Slots = 8, SlotBytes = 256, MaxAttempts = 10 });
        queue.TrySend("photo-1.jpg"u8);
        using PeerProcess worker = _workspace.Start("queue-hold", "thumbnails", "1"); // another process leases it
        worker.WaitFor("holding");

        worker.Kill(); // as the kernel would when memory runs out

        Assert.That(queue.WaitToLease(TimeSpan.FromSeconds(30)), Is.True); // within two seconds
        queue.TryLease(out WorkLease again);
        Assert.That(again.Attempt, Is.EqualTo(2));
        again.Complete();
    }
}
