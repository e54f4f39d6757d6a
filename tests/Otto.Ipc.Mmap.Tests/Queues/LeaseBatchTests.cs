using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Queues;

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class LeaseBatchTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_batch_that_fails_half_way_returns_what_it_took_and_the_next_one_throws()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 8, SlotBytes = 64 });
        queue.TrySend([1]);
        queue.TrySend([2]);
        queue.TrySend(new byte[10_000]);
        queue.TrySend([4]);
        foreach (string block in Directory.GetFiles(_workspace.Directory, "*.block")) File.Delete(block);
        using WorkQueue worker = _workspace.Transport.OpenQueue("jobs");
        var leases = new WorkLease[8];
        Assert.That(worker.LeaseBatch(leases), Is.EqualTo(2));
        Assert.That(worker.CompleteBatch(leases.AsSpan(0, 2)), Is.EqualTo(2));
        Assert.Throws<CorruptSegmentException>(() => worker.LeaseBatch(leases));
        Assert.That(worker.LeaseBatch(leases), Is.EqualTo(1));
        Assert.That(leases[0].Payload.Span[0], Is.EqualTo(4));
        leases[0].Complete();
        WorkQueueCounts counts = worker.GetCounts();
        Assert.That((counts.Leased, counts.Dead), Is.EqualTo((0, 1)));
    }
}
