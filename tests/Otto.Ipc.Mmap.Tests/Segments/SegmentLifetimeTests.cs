using System.Diagnostics;
using System.Globalization;
using System.Text.RegularExpressions;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Tests.Segments;

// How segments come, are found, and go, with several processes at it at once.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed partial class SegmentLifetimeTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Processes_that_create_the_same_name_at_once_get_the_same_file()
    {
        PeerProcess[] peers = [.. Enumerable.Range(0, 8).Select(_ => _workspace.Start("segment-open", "race"))];
        foreach (PeerProcess peer in peers) peer.WaitFor("ready");
        foreach (PeerProcess peer in peers) peer.Say("go");
        string[] inodes = [.. peers.Select(peer => peer.WaitFor("inode").Split(' ')[1])];
        Assert.That(inodes.Distinct().Count(), Is.EqualTo(1), string.Join(", ", inodes));
        Assert.That(inodes[0], Is.Not.EqualTo("none"));
        foreach (PeerProcess peer in peers)
        {
            peer.Say("finish");
            Assert.That(peer.WaitForExit(), Is.Zero, peer.Errors);
        }

        Assert.That(Directory.GetFiles(_workspace.Directory), Has.Length.EqualTo(1));
    }

    [Test]
    public void Threads_that_create_and_remove_the_same_name_never_talk_past_each_other()
    {
        // Whoever has it open at the same time as another has the same one: what one sends the other can lease.
        Parallel.For(0, 4, new ParallelOptions { MaxDegreeOfParallelism = 4 }, worker =>
        {
            for (int i = 0; i < 150; i++)
            {
                using WorkQueue one = _workspace.Transport.OpenQueue("churn", new MmapQueueOptions { Slots = 64, SlotBytes = 16 });
                using WorkQueue two = _workspace.Transport.OpenQueue("churn");
                Assert.That(one.TrySend([1]), Is.True);
                Assert.That(two.TryLease(out WorkLease lease) && lease.Complete(), Is.True);
                one.Dispose();
                two.Dispose();
                try
                {
                    _workspace.Transport.RemoveQueue("churn");
                }
                catch (IOException)
                {
                    // In use by another worker.
                }
            }
        });
    }

    [Test]
    public void A_segment_in_use_is_not_removed()
    {
        using (_workspace.Transport.OpenQueue("jobs"))
        {
            var thrown = Assert.Throws<IOException>(() => _workspace.Transport.RemoveQueue("jobs"));
            Assert.That(thrown!.Message, Does.Contain("in use"));
            Assert.That(File.Exists(_workspace.PathOf("jobs", SegmentShape.Queue)), Is.True);
        }

        Assert.That(_workspace.Transport.RemoveQueue("jobs"), Is.True);
        Assert.That(_workspace.Transport.RemoveQueue("jobs"), Is.False);
    }

    [Test]
    public void A_segment_in_use_by_another_process_is_not_removed()
    {
        using PeerProcess peer = _workspace.Start("queue-stay", "jobs");
        peer.WaitFor("ready");
        Assert.Throws<IOException>(() => _workspace.Transport.RemoveQueue("jobs"));
        peer.Kill();
        Assert.That(_workspace.Transport.RemoveQueue("jobs"), Is.True, "the dead keep nothing open");
    }

    [Test]
    public void A_deleted_file_serves_those_that_have_it_open_and_its_name_is_free()
    {
        using WorkQueue one = _workspace.Transport.OpenQueue("jobs"), two = _workspace.Transport.OpenQueue("jobs");
        one.TrySend("x"u8);
        File.Delete(_workspace.PathOf("jobs", SegmentShape.Queue));
        using WorkQueue fresh = _workspace.Transport.OpenQueue("jobs");
        Assert.That(fresh.TryLease(out _), Is.False, "another file, another queue");
        Assert.That(two.TryLease(out WorkLease lease) && lease.Complete(), Is.True);
    }

    [Test]
    public void A_remover_killed_halfway_leaves_the_name_usable([Values("remove.retired:1", "create.linked:1")] string point)
    {
        _workspace.Transport.OpenQueue("jobs").Dispose();
        if (point.StartsWith("create", StringComparison.Ordinal)) _workspace.Transport.RemoveQueue("jobs");
        string verb = point.StartsWith("create", StringComparison.Ordinal) ? "queue-stay" : "segment-remove";
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", point + ":KILL")], verb, "jobs");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        Assert.That(queue.TrySend("x"u8), Is.True);
    }

    [Test]
    public void A_creator_killed_before_its_file_has_a_name_leaves_nothing_behind()
    {
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", "create.initialised:1:KILL")], "queue-stay", "jobs");
        Assert.That(victim.WaitForExit(), Is.EqualTo(137), victim.Errors);
        Assert.That(Directory.GetFileSystemEntries(_workspace.Directory), Is.Empty);
    }

    [Test]
    public void A_creator_stopped_there_does_not_block_the_name([Values("create.initialised:1", "create.linked:1")] string point)
    {
        using PeerProcess victim = _workspace.StartWith([("OTTO_FAULT_AT", point + ":STOP")], "queue-stay", "jobs");
        Watchdog.Until(() => victim.IsStopped, "the creator to stop");
        using (WorkQueue queue = _workspace.Transport.OpenQueue("jobs"))
        {
            Assert.That(queue.TrySend("x"u8), Is.True);
            victim.Signal(18);
            victim.WaitFor("ready");
            Assert.That(queue.TryLease(out WorkLease lease) && lease.Complete(), Is.True);
        }

        Assert.Throws<IOException>(() => _workspace.Transport.RemoveQueue("jobs"), "the creator uses the same file");
        victim.Say("finish");
        Assert.That(victim.WaitForExit(), Is.Zero, victim.Errors);
    }

    [Test]
    public void A_full_file_system_is_reported_with_the_bytes_needed_and_free_and_leaves_nothing()
    {
        if (Environment.UserName != "root") Assert.Ignore("only root can mount a small file system");
        string small = Path.Combine(_workspace.Directory, "small");
        Directory.CreateDirectory(small, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using (Process mount = Process.Start("mount", ["-t", "tmpfs", "-o", "size=1m,mode=0700", "tmpfs", small])) mount.WaitForExit();
        try
        {
            if (new DriveInfo(small).TotalSize > 1 << 20) Assert.Ignore("no file system could be mounted here");
            var transport = new MmapTransport(new MmapTransportOptions { Directory = small });
            using (transport.OpenQueue("fits", new MmapQueueOptions { Slots = 16, SlotBytes = 64 }))
            {
                long free = new DriveInfo(small).AvailableFreeSpace;
                var thrown = Assert.Throws<IOException>(() => transport.OpenSender("large", new MmapStreamOptions { Capacity = 2 << 20 }))!;
                Match numbers = Numbers().Match(thrown.Message);
                Assert.That(numbers.Success, Is.True, thrown.Message);
                Assert.That(Number(numbers.Groups[1]), Is.GreaterThanOrEqualTo(2 << 20), thrown.Message);
                // The failed attempt had taken what was left, and gave it back.
                Assert.That(Number(numbers.Groups[2]), Is.LessThanOrEqualTo(1 << 20), thrown.Message);
                Watchdog.Until(() => new DriveInfo(small).AvailableFreeSpace == free, "what the failed attempt had taken to be given back");
                Assert.That(Directory.GetFiles(small), Has.Length.EqualTo(1));
            }

            transport.RemoveQueue("fits");
        }
        finally
        {
            // A child of another test that has not executed its program yet may still have a file of it open.
            Watchdog.Until(
                () =>
                {
                    using Process unmount = Process.Start("umount", ["-q", small]);
                    unmount.WaitForExit();
                    return new DriveInfo(small).TotalSize > 1 << 20;
                },
                "the small file system to go");
            Directory.Delete(small);
        }
    }

    [Test]
    public void What_was_left_is_free_at_once_although_a_child_that_has_not_executed_its_program_has_all_descriptors()
    {
        WorkQueue queue = _workspace.Transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 4, SlotBytes = 16 });
        using var child = new ForkedDescriptors(target => target.StartsWith(_workspace.Directory + "/", StringComparison.Ordinal));
        Assert.That(child.Count, Is.Positive);
        queue.Dispose();
        Assert.That(() => _workspace.Transport.RemoveQueue("jobs"), Throws.Nothing);
    }

    [Test]
    public void More_participants_than_the_limit_are_refused_with_the_number()
    {
        var options = new MmapQueueOptions { MaxParticipants = 2, Slots = 4 };
        using WorkQueue one = _workspace.Transport.OpenQueue("jobs", options), two = _workspace.Transport.OpenQueue("jobs", options);
        var thrown = Assert.Throws<ParticipantLimitException>(() => _workspace.Transport.OpenQueue("jobs", options));
        Assert.That(thrown!.Message, Does.Contain("2 participants"));
        two.Dispose();
        _workspace.Transport.OpenQueue("jobs", options).Dispose();
    }

    [Test]
    public async Task A_joiner_waits_for_a_sweeper_to_be_done_with_the_last_entry()
    {
        var options = new MmapQueueOptions { MaxParticipants = 2, Slots = 4 };
        using WorkQueue one = _workspace.Transport.OpenQueue("jobs", options);
        using var file = File.OpenHandle(_workspace.PathOf("jobs", SegmentShape.Queue), FileMode.Open, FileAccess.ReadWrite,
            FileShare.ReadWrite);
        using ParticipantLocks sweeper = SegmentFile.OpenLocks(file, _workspace.PathOf("jobs", SegmentShape.Queue));
        Assert.That(sweeper.TryProveDead(1), Is.True);
        using var joining = new ManualResetEventSlim();
        Task join = Watchdog.RunOnThread(() =>
        {
            joining.Set();
            _workspace.Transport.OpenQueue("jobs", options).Dispose();
        });
        joining.Wait();
        Assert.That(join.Wait(TimeSpan.FromMilliseconds(100)), Is.False);
        sweeper.ReleaseProof(1);
        await Watchdog.WaitAsync(join);
    }

    [Test]
    public void A_sender_too_many_and_a_second_receiver_of_a_stream_are_refused()
    {
        using (_workspace.Transport.OpenSender("shared", new MmapStreamOptions { MaxSenders = 2 }))
        using (_workspace.Transport.OpenSender("shared"))
        {
            Assert.That(() => _workspace.Transport.OpenSender("shared"),
                Throws.InstanceOf<IOException>().With.Message.Contains("2 live senders"));
        }

        using MessageSender sender = _workspace.Transport.OpenSender("frames", new MmapStreamOptions { MaxSenders = 1 });
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        Assert.That(() => _workspace.Transport.OpenSender("frames"),
            Throws.InstanceOf<IOException>().With.Message.Contains("sender already"));
        Assert.That(() => _workspace.Transport.OpenReceiver("frames"),
            Throws.InstanceOf<IOException>().With.Message.Contains("receiver already"));
        sender.Dispose();
        _workspace.Transport.OpenSender("frames").Dispose();
    }

    [Test]
    public void Options_are_checked_when_an_end_is_opened_and_the_error_has_the_number()
    {
        Assert.That(() => _workspace.Transport.OpenSender("s", new MmapStreamOptions { Capacity = 5000 }), Says("5,000"));
        Assert.That(() => _workspace.Transport.OpenSender("s", new MmapStreamOptions { Capacity = 2048 }), Says("2,048"));
        Assert.That(() => _workspace.Transport.OpenSender("s", new MmapStreamOptions { MaxSenders = 257 }), Says("257"));
        Assert.That(() => _workspace.Transport.OpenReceiver("s", new MmapStreamOptions { SpinLimit = TimeSpan.FromSeconds(2) }),
            Says("00:00:02"));
        Assert.That(() => _workspace.Transport.OpenReceiver("s", new MmapStreamOptions { WaitMode = (WaitMode)9 }), Says("9"));
        Assert.That(() => _workspace.Transport.OpenQueue("q", new MmapQueueOptions { Slots = 0 }), Says("0"));
        Assert.That(() => _workspace.Transport.OpenQueue("q", new MmapQueueOptions { Slots = (1 << 20) + 1 }), Says("1,048,577"));
        Assert.That(() => _workspace.Transport.OpenQueue("q", new MmapQueueOptions { SlotBytes = 0 }), Says("0"));
        Assert.That(() => _workspace.Transport.OpenQueue("q", new MmapQueueOptions { MaxAttempts = 255 }), Says("255"));
        Assert.That(() => _workspace.Transport.OpenQueue("q", new MmapQueueOptions { MaxParticipants = 1 }), Says("1"));
        Assert.That(() => _workspace.Transport.OpenQueue("q", new MmapQueueOptions { SpinLimit = TimeSpan.FromTicks(-1) }),
            Says("spin limit"));
        Assert.That(() => _workspace.Transport.OpenQueue("q", new MmapQueueOptions { Slots = 1 << 20, SlotBytes = 1 << 20 }),
            Says("1,048,576"));
        Assert.That(Directory.GetFiles(_workspace.Directory), Is.Empty);
    }

    [Test]
    public void A_name_is_never_a_path([Values("../x", "a/b", "", ".", "..", "ü", "a b")] string name) =>
        Assert.That(() => _workspace.Transport.OpenQueue(name), Throws.InstanceOf<ArgumentException>());

    private static NUnit.Framework.Constraints.ContainsConstraint Says(string number) =>
        Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Contains(number);

    private static long Number(Group group) => long.Parse(group.Value, NumberStyles.AllowThousands, CultureInfo.InvariantCulture);

    [GeneratedRegex(@"needs ([\d,]+) bytes and .* has ([\d,]+) free")]
    private static partial Regex Numbers();
}
