using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Mmap.Tests.Queues;

// Many messages of one delay, in a larger queue than the suite's: what falls due together comes as it was sent.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class DelayedMessageTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Hundreds_of_one_delay_come_in_the_order_of_sending()
    {
        const int Messages = 500;
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 512, SlotBytes = 16 });
        TimeSpan delay = TimeSpan.FromMilliseconds(60);
        for (int i = 0; i < Messages; i++) Assert.That(queue.TrySend(BitConverter.GetBytes(i), delay, out _), Is.True);
        long start = Stopwatch.GetTimestamp();
        Watchdog.Until(() => Stopwatch.GetElapsedTime(start) > delay * 2, "all to be due");
        for (int i = 0; i < Messages; i++)
        {
            Assert.That(queue.TryLease(out WorkLease lease), Is.True);
            Assert.That(BitConverter.ToInt32(lease.Payload.Span), Is.EqualTo(i));
            lease.Complete();
        }
    }
}
