using System.Buffers.Binary;
using System.Numerics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Inspection;
using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Inspection;

// Cleaning removes what nobody holds and nobody can miss, and says of everything else why it stays.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SegmentCleanerTests
{
    private readonly TestWorkspace _workspace = new();
    private readonly MmapInspector _inspector;

    public SegmentCleanerTests() => _inspector = new MmapInspector(new MmapTransportOptions { Directory = _workspace.Directory });

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_closed_segment_without_pending_work_is_removed()
    {
        _workspace.Transport.OpenQueue("jobs").Dispose();
        _workspace.Transport.OpenReceiver("frames", new MmapStreamOptions { Capacity = 4096 }).Dispose();
        using (MessagePublisher publisher = _workspace.Transport.OpenPublisher("news")) publisher.TryPublish([1]);
        Assert.That(_inspector.Clean(new CleanOptions { DryRun = true }).Select(c => c.Removed), Is.EqualTo(new[] { true, true, true }));
        Assert.That(Files(), Has.Length.EqualTo(3), "a dry run removes nothing");
        IReadOnlyList<CleanReport> cleaned = _inspector.Clean();
        Assert.That(cleaned.Select(c => c.Removed), Is.EqualTo(new[] { true, true, true }), string.Join(", ", cleaned));
        Assert.That(Files(), Is.Empty);
    }

    [Test]
    public void What_a_live_process_has_open_stays_and_the_process_is_named()
    {
        using PeerProcess peer = _workspace.Start("queue-stay", "jobs", "worker");
        peer.WaitFor("ready");
        foreach (bool dry in (bool[])[true, false])
        {
            CleanReport report = _inspector.Clean(new CleanOptions { DryRun = dry, IncludePending = true }).Single();
            Assert.That((report.Removed, report.Reason), Is.EqualTo((false, $"in use by {peer.Id} (sends, takes work)")));
        }

        peer.Kill();
        Assert.That(_inspector.Clean().Single().Removed, Is.True, "the dead hold nothing");
    }

    [Test]
    public void A_stopped_process_holds_what_it_holds()
    {
        using PeerProcess peer = _workspace.Start("queue-stay", "jobs");
        peer.WaitFor("ready");
        peer.Signal(19);
        Watchdog.Until(() => peer.IsStopped, "the peer to stop");
        Assert.That(_inspector.Clean(new CleanOptions { IncludePending = true }).Single().Removed, Is.False);
        peer.Kill();
    }

    [Test]
    public void Pending_messages_stay_and_are_counted()
    {
        using (WorkQueue queue = _workspace.Transport.OpenQueue("jobs"))
        {
            for (int i = 0; i < 3; i++) queue.TrySend([1]);
            queue.TryLease(out WorkLease dead);
            dead.DeadLetter("no");
            queue.TrySend([2], TimeSpan.FromHours(1), out _);
        }

        using (MessageSender sender = _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 4096 }))
            sender.TrySend(new byte[8]);
        Assert.That(_inspector.Clean().Select(c => (c.Removed, c.Reason)), Is.EqualTo(new[]
        {
            (false, "it holds 16 bytes that were sent and not read"),
            (false, "it holds pending messages: 2 ready, 1 delayed, 0 leased, 1 dead letters"),
        }));
        using (WorkQueue queue = _workspace.Transport.OpenQueue("jobs"))
            Assert.That(queue.GetCounts().Ready, Is.EqualTo(2), "it was left as it was");
        Assert.That(_inspector.Clean(new CleanOptions { IncludePending = true }).Select(c => c.Removed), Is.All.True);
        Assert.That(Files(), Is.Empty);
    }

    [Test]
    public void A_lease_of_a_dead_worker_is_pending_work()
    {
        using (WorkQueue queue = _workspace.Transport.OpenQueue("jobs")) queue.TrySend(Payload.Make(1, 1, 30));
        using (PeerProcess peer = _workspace.Start("queue-hold", "jobs", "1"))
        {
            peer.WaitFor("holding");
            peer.Kill();
        }

        Assert.That(_inspector.Clean().Single().Reason, Does.Contain("1 leased"));
    }

    [Test]
    public void A_removal_that_was_killed_halfway_is_finished()
    {
        _workspace.Transport.OpenQueue("jobs").Dispose();
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", "remove.retired:1:KILL")], "segment-remove", "jobs");
        victim.WaitForExit();
        Assert.That(_inspector.List().Single().Condition, Is.EqualTo(SegmentCondition.Retired));
        Assert.That(_inspector.Clean().Single().Removed, Is.True);
        Assert.That(Files(), Is.Empty);
    }

    [Test]
    public void A_pool_goes_with_its_channel_and_stays_with_it()
    {
        using (WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 4, SlotBytes = 64 }))
        {
            queue.TrySend(new byte[10_000]);
            Assert.That(_inspector.Clean().Select(c => (c.Removed, c.Reason.Split(' ')[0])),
                Is.EqualTo(new[] { (false, "in"), (false, "belongs") }));
        }

        Assert.That(_inspector.Clean().Select(c => (c.Removed, c.Reason.Split(' ')[0])),
            Is.EqualTo(new[] { (false, "it"), (false, "belongs") }));
        Assert.That(_inspector.Clean(new CleanOptions { IncludePending = true, DryRun = true }).Select(c => c.Reason),
            Has.Exactly(1).EqualTo("goes with jobs.queue"));
        Assert.That(_inspector.Clean(new CleanOptions { IncludePending = true }).Select(c => c.Removed), Is.All.True);
        Assert.That(Files(), Is.Empty);
    }

    [Test]
    public void Blocks_and_pools_that_their_channel_left_behind_go()
    {
        using (WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 4, SlotBytes = 64 }))
        {
            queue.TryLoan(10_000, out Loan loan);
            loan.Dispose();
        }

        string block = Files().Single(f => f.EndsWith(".block", StringComparison.Ordinal)),
            copy = block.Replace("jobs", "gone", StringComparison.Ordinal);
        File.Copy(block, copy);
        File.Delete(_workspace.PathOf("jobs", SegmentShape.Queue));
        Assert.That(_inspector.List().Select(r => (r.Kind, r.Condition)),
            Is.EqualTo(new[] { (SegmentKind.Pool, SegmentCondition.Retired), (SegmentKind.Pool, SegmentCondition.Ready) }));
        Assert.That(_inspector.Clean().Select(c => c.Removed), Is.EqualTo(new[] { true, true }));
        Assert.That(Files(), Is.Empty);
    }

    [Test]
    public void A_region_is_left_to_its_run()
    {
        JsonRegion region = JsonRegion.Create(new RegionLocation("build") { Directory = _workspace.Directory, ProcessId = 4242 });
        region.Set("step", "compile");
        Assert.That(_inspector.Clean(new CleanOptions { IncludePending = true }).Single().Removed, Is.False);
        File.Delete(Files().Single());
    }

    [Test]
    public void A_file_that_fails_a_check_stays_unless_all_is_to_go()
    {
        string path = Path.Combine(_workspace.Directory, "noise.queue");
        File.WriteAllBytes(path, new byte[70]);
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.That((_inspector.Clean().Single().Removed, new FileInfo(path).Length), Is.EqualTo((false, 70)));
        Assert.That(_inspector.Clean(new CleanOptions { IncludePending = true }).Single().Removed, Is.True);
        Assert.That(Files(), Is.Empty);
    }

    [Test]
    public async Task Cleaning_beside_users_that_come_and_go_loses_no_message()
    {
        using var stop = new CancellationTokenSource();
        Task cleaner = Watchdog.RunOnThread(() =>
        {
            while (!stop.IsCancellationRequested) _inspector.Clean();
        });
        for (int i = 0; i < 500; i++)
        {
            using (WorkQueue sender = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 4, SlotBytes = 16 }))
                Assert.That(sender.TrySend(BitConverter.GetBytes(i)), Is.True);
            using WorkQueue worker = _workspace.Transport.OpenQueue("jobs");
            Assert.That(worker.TryLease(out WorkLease lease), Is.True, $"message {i} is gone");
            Assert.That(BitConverter.ToInt32(lease.Payload.Span), Is.EqualTo(i));
            lease.Complete();
        }

        await stop.CancelAsync();
        await Watchdog.WaitAsync(cleaner);
    }

    private string[] Files() => Directory.GetFiles(_workspace.Directory);
}
