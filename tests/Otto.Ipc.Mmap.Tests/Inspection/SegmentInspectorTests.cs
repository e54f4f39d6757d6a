using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Inspection;
using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Inspection;

// What an outsider sees of live segments, and that its looking changes nothing.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SegmentInspectorTests
{
    private readonly TestWorkspace _workspace = new();
    private readonly MmapInspector _inspector;

    public SegmentInspectorTests() => _inspector = new MmapInspector(new MmapTransportOptions { Directory = _workspace.Directory });

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void A_stream_shows_who_is_attached_and_what_was_not_read()
    {
        using MessageSender sender = _workspace.Transport.OpenSender("frames", new MmapStreamOptions { Capacity = 4096, MaxSenders = 3 });
        sender.TrySend(new byte[100]);
        sender.TrySend(new byte[8]);
        using PeerProcess peer = _workspace.Start("stream-stay", "frames");
        peer.WaitFor("ready");
        SegmentReport report = One();
        Assert.That((report.Name, report.Kind, report.Condition, report.InUse, report.Problem),
            Is.EqualTo(("frames", SegmentKind.Stream, SegmentCondition.Ready, true, (string?)null)));
        Assert.That(report.Bytes, Is.EqualTo(new FileInfo(report.Path).Length));
        Assert.That(report.Participants.Select(p => (p.Pid, p.Role, p.Alive, p.SameNamespace)), Is.EqualTo(new[]
        {
            (Environment.ProcessId, "sends", true, true), (peer.Id, "receives", true, true),
        }));
        StreamContents depth = (StreamContents)report.Contents!;
        Assert.That((depth.UnreadBytes, depth.MaxLanes, depth.LaneBytes, depth.HasReceiver), Is.EqualTo((112L + 16, 3, 4096L, true)));
        Assert.That(depth.Lanes, Is.EqualTo(new[] { new StreamLaneContents(0, 128, 128, HasSender: true, Completed: false) }));
        peer.Say("finish");
        peer.WaitForExit();
    }

    [Test]
    public void A_killed_participant_shows_as_dead_until_it_is_swept()
    {
        using (PeerProcess peer = _workspace.Start("queue-stay", "jobs", "worker"))
        {
            peer.WaitFor("ready");
            Assert.That(One().Participants.Select(p => (p.Pid, p.Role, p.Alive)),
                Is.EqualTo(new[] { (peer.Id, "sends, takes work", true) }));
            peer.Kill();
            Assert.That((One().Participants.Select(p => (p.Pid, p.Alive)).Single(), One().InUse), Is.EqualTo(((peer.Id, false), false)));
        }

        _workspace.Transport.OpenQueue("jobs").Dispose();
        Assert.That(One().Participants, Is.Empty);
    }

    [Test]
    public void A_queue_shows_its_counts_and_the_ages_of_the_oldest()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 20, SlotBytes = 32 });
        for (int i = 0; i < 6; i++) queue.TrySend([1]);
        queue.TrySend([2], TimeSpan.FromHours(1), out _);
        queue.TryLease(out WorkLease held);
        queue.TryLease(out WorkLease dead);
        dead.DeadLetter("no");
        queue.TryLease(out WorkLease done);
        done.Complete();
        Watchdog.Until(() => Depth().OldestReadyAge > TimeSpan.Zero && Depth().OldestLeaseAge > TimeSpan.Zero, "time to pass");
        QueueContents depth = Depth();
        Assert.That((depth.Ready, depth.Delayed, depth.Leased, depth.Dead, depth.Free, depth.Slots, depth.SlotBytes),
            Is.EqualTo((3, 1, 1, 1, 14, 20, 32)));
        Assert.That((depth.Claims, depth.Releases), Is.EqualTo((7L, 1L)));
        WorkQueueCounts counts = queue.GetCounts();
        Assert.That(depth.OldestLeaseAge, Is.LessThanOrEqualTo(counts.OldestLeaseAge));
        held.Complete();

        QueueContents Depth() => (QueueContents)One().Contents!;
    }

    [Test]
    public void A_queue_of_large_slots_is_counted_as_one_of_small_slots_is([Values(1, 512, 5000)] int slotBytes)
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 700, SlotBytes = slotBytes });
        for (int i = 0; i < 650; i++) queue.TrySend([1]);
        Assert.That(One().Contents,
            Is.InstanceOf<QueueContents>().With.Property(nameof(QueueContents.Ready)).EqualTo(650).And.Property(nameof(QueueContents.Free))
            .EqualTo(50));
    }

    [Test]
    public void A_topic_shows_how_much_was_published_and_what_a_late_subscriber_would_receive()
    {
        using MessagePublisher publisher =
            _workspace.Transport.OpenPublisher("news",
                new MmapTopicOptions { Capacity = 4096, MaxPublishers = 2, Policy = SlowSubscriberPolicy.Disconnect });
        using MessageSubscriber subscriber = _workspace.Transport.OpenSubscriber("news");
        for (int i = 0; i < 1000; i++) publisher.TryPublish(new byte[16]);
        SegmentReport report = One();
        TopicContents depth = (TopicContents)report.Contents!;
        Assert.That((depth.Published, depth.LanesInUse, depth.MaxLanes, depth.Policy),
            Is.EqualTo((1000L, 1, 2, SlowSubscriberPolicy.Disconnect)));
        Assert.That(depth.KeptBytes, Is.InRange(2048, 4096));
        Assert.That(report.Participants.Select(p => p.Role), Is.EqualTo(new[] { "publishes", "subscribes" }));
    }

    [Test]
    public void Lent_blocks_show_as_a_pool_with_the_bytes_of_their_files()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 4, SlotBytes = 64 });
        queue.TryLoan(10_000, out Loan loan);
        SegmentReport pool = _inspector.List().Single(r => r.Kind == SegmentKind.Pool);
        PoolContents depth = (PoolContents)pool.Contents!;
        Assert.That((depth.Channel, depth.Lent, depth.Files), Is.EqualTo(("jobs.queue", 1, 1)));
        Assert.That(pool.Bytes, Is.EqualTo(new FileInfo(pool.Path).Length + 16_384));
        Assert.That(pool.Participants.Single().Role, Is.EqualTo("lends"));
        Assert.That(_inspector.Find("jobs").Select(r => r.Kind), Is.EquivalentTo(new[] { SegmentKind.Queue, SegmentKind.Pool }));
        loan.Dispose();
    }

    [Test]
    public void A_region_among_the_segments_is_shown()
    {
        JsonRegion region = JsonRegion.Create(new RegionLocation("build") { Directory = _workspace.Directory, ProcessId = 4242 });
        region.Set("step", "compile");
        SegmentReport report = One();
        Assert.That((report.Name, report.Kind), Is.EqualTo(("build", SegmentKind.Region)));
        Assert.That(report.Contents,
            Is.InstanceOf<RegionContents>().With.Property(nameof(RegionContents.RunPid)).EqualTo(4242).And.Property(
                nameof(RegionContents.ValueBytes)).EqualTo(18));
        File.Delete(report.Path);
    }

    [Test]
    public void Two_samples_give_rates()
    {
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        queue.TrySend([1]);
        SegmentReport before = One();
        for (int i = 0; i < 10; i++) queue.TrySend([1]);
        for (int i = 0; i < 4; i++)
        {
            queue.TryLease(out WorkLease lease);
            lease.Complete();
        }

        SegmentRates rates = One().RatesSince(before)!;
        Assert.That((Math.Round(rates.InPerSecond * rates.Over.TotalSeconds), Math.Round(
            rates.OutPerSecond!.Value * rates.Over.TotalSeconds), rates.Unit), Is.EqualTo((10, 4, "messages")));
        queue.Dispose();
        _workspace.Transport.RemoveQueue("jobs");
        _workspace.Transport.OpenQueue("jobs").Dispose();
        Assert.That(One().RatesSince(before), Is.Null, "another segment of that name");
    }

    [Test]
    public void Looking_takes_no_lock_changes_no_byte_and_needs_no_permission_to_write()
    {
        _workspace.Transport.OpenQueue("jobs").Dispose();
        string path = _workspace.PathOf("jobs", SegmentShape.Queue);
        byte[] before = File.ReadAllBytes(path);
        DateTime written = File.GetLastWriteTimeUtc(path);
        File.SetUnixFileMode(path, UnixFileMode.UserRead);
        Assert.That((One().Condition, One().InUse), Is.EqualTo((SegmentCondition.Ready, false)));
        File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        Assert.That(File.ReadAllBytes(path), Is.EqualTo(before));
        Assert.That(File.GetLastWriteTimeUtc(path), Is.EqualTo(written));
    }

    [Test]
    public void Inspecting_creates_no_directory_and_finds_nothing_if_there_is_none()
    {
        string none = Path.Combine(_workspace.Directory, "none");
        var inspector = new MmapInspector(new MmapTransportOptions { Directory = none });
        Assert.That((inspector.List(), inspector.Find("jobs"), inspector.Clean()),
            Is.EqualTo((Array.Empty<SegmentReport>(), Array.Empty<SegmentReport>(), Array.Empty<CleanReport>())));
        Assert.That((inspector.Directory, Directory.Exists(none)), Is.EqualTo((none, false)));
    }

    [Test]
    public void What_is_no_segment_is_reported_with_the_check_that_it_fails()
    {
        string Make(string name, byte[] bytes)
        {
            string path = Path.Combine(_workspace.Directory, name);
            File.WriteAllBytes(path, bytes);
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            return path;
        }

        string[] made = [Make("empty.stream", []), Make("noise.queue", [.. Enumerable.Range(0, 200_000).Select(i => (byte)(i * 31))]),
            Make("short.pool", new byte[100]), Make("open.topic", [])];
        File.SetUnixFileMode(made[3], UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        Make("notes.txt", [1]);
        Make("bad name.queue", [1]);
        Directory.CreateDirectory(Path.Combine(_workspace.Directory, "directory.queue"));
        File.CreateSymbolicLink(Path.Combine(_workspace.Directory, "link.queue"), made[1]);
        IReadOnlyList<SegmentReport> reports = _inspector.List();
        Assert.That(reports.Select(r => r.Name), Is.EqualTo(new[] { "empty", "link", "noise", "open", "short" }));
        Assert.That(reports.Select(r => r.Condition), Is.All.EqualTo(SegmentCondition.Unreadable));
        Assert.That(reports.Select(r => r.Problem), Is.EqualTo(reports.Select(r => r.Problem).OfType<string>()));
        Assert.That(reports[2].Problem, Does.Contain("magic"));
        Assert.That(reports[1].Problem, Does.Contain("link"));
        Assert.That(reports[3].Problem, Does.Contain("604"));
        Assert.That(_inspector.Clean().Select(c => c.Removed), Is.All.False);
        foreach (string path in Directory.GetFiles(_workspace.Directory)) File.Delete(path);
        Directory.Delete(Path.Combine(_workspace.Directory, "directory.queue"));
    }

    [Test]
    public async Task Segments_that_come_and_go_meanwhile_do_no_harm()
    {
        using var stop = new CancellationTokenSource();
        Task churn = Watchdog.RunOnThread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                using (WorkQueue queue = _workspace.Transport.OpenQueue("churn", new MmapQueueOptions { Slots = 2, SlotBytes = 8 }))
                    queue.TrySend([1]);
                _workspace.Transport.RemoveQueue("churn");
            }
        });
        int seen = 0;
        // The looks can all be over before the other thread has had a core.
        for (long i = 0, start = Stopwatch.GetTimestamp(); i < 2000
            || (seen == 0 && Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(30)); i++)
        {
            foreach (SegmentReport report in _inspector.List())
            {
                Assert.That(report.Condition, Is.EqualTo(SegmentCondition.Ready).Or.EqualTo(SegmentCondition.Retired), report.Problem);
                seen++;
            }
        }

        await stop.CancelAsync();
        await Watchdog.WaitAsync(churn);
        Assert.That(seen, Is.Positive);
    }

    [Test]
    public void A_file_truncated_during_inspection_is_reported_and_crashes_no_process()
    {
        _workspace.Transport.OpenQueue("jobs").Dispose();
        string path = _workspace.PathOf("jobs", SegmentShape.Queue);
        byte[] whole = File.ReadAllBytes(path);
        foreach (int bytes in (int[])[0, 4, 0x80, 0x1000, 0x1100, 0x10000, whole.Length - 5000])
        {
            File.WriteAllBytes(path, whole[..bytes]);
            Assert.That(One().Condition, Is.EqualTo(SegmentCondition.Unreadable), $"{bytes} bytes");
        }

        File.Delete(path);
    }

    private SegmentReport One() => _inspector.List().Single();
}
