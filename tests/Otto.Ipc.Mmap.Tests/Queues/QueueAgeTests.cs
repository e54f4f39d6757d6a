using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Inspection;
using Otto.Ipc.Mmap.Queues;

namespace Otto.Ipc.Mmap.Tests.Queues;

// Ages are looked at while workers lease, on machines that run for years.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class QueueAgeTests
{
    private static readonly long Word = SlotWord.Make(SlotState.Leased, owner: 3, attempts: 0, lap: 0x12_3456_789A);
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_look_beside_leasing_workers_shows_no_lease_that_is_older_than_the_test()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 200_000, SlotBytes = 8 });
        MmapInspector inspector = new(new MmapTransportOptions { Directory = _workspace.Directory });
        int stop = 0;
        Thread[] workers = [.. Enumerable.Range(0, 2).Select(_ => new Thread(Work))];
        foreach (Thread worker in workers) worker.Start();
        try
        {
            for (int look = 0; look < 40; look++)
            {
                Assert.That(queue.GetCounts().OldestLeaseAge, Is.LessThan(Watchdog.Limit), $"look {look}");
                var depth = (QueueContents)inspector.List().Single().Contents!;
                Assert.That(depth.OldestLeaseAge, Is.LessThan(Watchdog.Limit), $"look {look} from outside");
            }
        }
        finally
        {
            Volatile.Write(ref stop, 1);
            foreach (Thread worker in workers) worker.Join();
        }

        void Work()
        {
            while (Volatile.Read(ref stop) == 0)
            {
                queue.TrySend([1]);
                if (queue.TryLease(out WorkLease lease)) lease.Complete();
            }
        }
    }

    [TestCase(0L)]
    [TestCase(50L * 24 * 3600 * 1000)]
    [TestCase(3650L * 24 * 3600 * 1000)]
    public void An_age_is_right_however_long_the_lease_lasts(long age)
    {
        long leasedAt = (1L << 31) - 5;
        Assert.That(LeaseTime.Age(leasedAt + age, LeaseTime.Make(leasedAt, Word), Word), Is.EqualTo(age));
    }

    [Test]
    public void A_lease_that_was_taken_after_the_clock_was_read_has_no_age() =>
        Assert.That(LeaseTime.Age(1000, LeaseTime.Make(1017, Word), Word), Is.Zero);

    [Test]
    public void The_time_of_an_earlier_delivery_is_not_the_age_of_this_one()
    {
        long next = SlotWord.NextLap(Word, SlotState.Leased, owner: 4, attempts: 1);
        Assert.That(LeaseTime.Age(1_000_000, LeaseTime.Make(1000, Word), next), Is.Zero);
    }

    [Test]
    public void A_worker_that_is_stopped_right_after_the_take_shows_no_age_of_an_earlier_lease()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 1, SlotBytes = 8 });
        queue.TrySend([1]);
        queue.TryLease(out WorkLease first);
        Watchdog.Until(() => queue.GetCounts().OldestLeaseAge > TimeSpan.FromMilliseconds(100), "the first lease to have an age");
        Assert.That(first.Complete(), Is.True);
        queue.TrySend([2]);
        using PeerProcess worker = _workspace.StartWith(
            [("OTTO_FAULT_AT", "queue.take.word:1:STOP")], "queue-hold", "jobs", "1");
        Watchdog.Until(() => queue.GetCounts().Leased == 1, "the worker to take it");
        Assert.That(queue.GetCounts().OldestLeaseAge, Is.EqualTo(TimeSpan.Zero));
        worker.Kill();
    }
}
