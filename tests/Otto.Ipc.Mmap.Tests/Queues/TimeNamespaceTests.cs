using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Mmap.Tests.Queues;

// A container may have clocks of its own. What it delays is due for everybody at the same moment.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class TimeNamespaceTests
{
    private static readonly TimeSpan Delay = TimeSpan.FromSeconds(1.5);
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [TestCase(100_000)]
    [TestCase(-5_000)]
    public void A_delay_from_outside_is_not_due_early_inside(int ahead)
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        using PeerProcess worker = _workspace.StartIn(Namespaces.Ahead(ahead), "queue-work", "jobs");
        worker.WaitFor("ready");
        long start = Stopwatch.GetTimestamp();
        Assert.That(queue.TrySend(Payload.Make(1, 1, 40), Delay, out _), Is.True);
        worker.WaitFor("done 1:1");
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThan(Delay));
        worker.Say("finish");
        Assert.That(worker.WaitForExit(), Is.Zero, worker.Errors);
    }

    [TestCase(100_000)]
    [TestCase(-5_000)]
    public void A_delay_from_inside_is_due_outside_and_has_no_age_of_its_own_clock(int ahead)
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        using (PeerProcess sender = _workspace.StartIn(Namespaces.Ahead(ahead), "queue-send", "jobs", "1", "1", "delay"))
        {
            sender.WaitFor("sent 1:0");
            sender.Kill();
        }

        WorkLease lease = default;
        Watchdog.Until(() => queue.TryLease(out lease), "the message to be due");
        Assert.That(queue.GetCounts().OldestLeaseAge, Is.LessThan(Watchdog.Limit));
        lease.Complete();
        using PeerProcess holder = _workspace.StartIn(Namespaces.Ahead(ahead), "queue-hold", "jobs", "1");
        queue.TrySend(Payload.Make(1, 1, 40));
        holder.WaitFor("holding");
        Assert.That(queue.GetCounts().OldestLeaseAge, Is.LessThan(Watchdog.Limit));
        Watchdog.Until(() => queue.GetCounts().OldestLeaseAge > TimeSpan.Zero, "the age to grow");
        holder.Say("finish");
        Assert.That(holder.WaitForExit(), Is.Zero, holder.Errors);
    }

    [TestCase("monotonic           0         0\nboottime       100000         0\n", 100_000_000)]
    [TestCase("monotonic -5 0\nboottime -3 500000000\n", -2_500)]
    [TestCase("", 0)]
    [TestCase("boottime x y\n", 0)]
    public void The_shift_of_a_namespace_is_read(string offsets, long milliseconds) =>
        Assert.That(LinuxClock.ShiftIn(offsets, "boottime"), Is.EqualTo(milliseconds));
}
