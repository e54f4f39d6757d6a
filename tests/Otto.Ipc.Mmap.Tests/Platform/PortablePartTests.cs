using Microsoft.Win32.SafeHandles;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Segments;
using Otto.Ipc.Platform;
using Otto.Ipc.Platform.Portable;

namespace Otto.Ipc.Mmap.Tests.Platform;

// Processes that use the portable part for everything it has: locks, segment files, mapping, waiting, fences.

[TestFixture]
[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class PortablePartTests
{
    private static readonly (string, string)[] s_portable = [("OTTO_PLATFORM", "portable")];

    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public void Messages_of_a_killed_worker_are_done_by_another_none_lost_and_none_twice()
    {
        using PeerProcess victim = Start("queue-hold", "jobs", "20");
        victim.WaitFor("ready");
        using PeerProcess sender = Start("queue-send", "jobs", "1", "200");
        victim.WaitFor("holding");
        using PeerProcess heir = Start("queue-work", "jobs");
        heir.WaitFor("ready");

        victim.Kill();

        for (int i = 0; i < 200; i++) heir.WaitFor($"done 1:{i}");
        Finish(sender);
        Finish(heir);
        string[][] said = [.. heir.Lines.Select(static line => line.Split(' '))]; // "done 1:7 @time", "lease 1:7 attempt @time"
        Assert.That(said.Where(static words => words[0] == "done").Select(static words => words[1]), Is.Unique);
        Assert.That(said.Count(static words => words[0] == "lease" && words[2] == "2"), Is.EqualTo(20));
    }

    [Test]
    public void A_lock_whose_file_was_removed_by_hand_counts_as_held()
    {
        string prefix = Path.Combine(_workspace.Directory, "jobs.queue-1");
        using LockFiles holder = new(prefix), other = new(prefix);
        Assert.That(holder.TryWrite(5), Is.True);
        foreach (string path in Directory.GetFiles(_workspace.Directory)) File.Delete(path);
        Assert.That(other.IsHeldForWriting(5), Is.True);
    }

    [Test]
    public void Of_creators_that_name_their_files_at_once_one_succeeds()
    {
        for (int round = 0; round < 200; round++)
        {
            string path = Path.Combine(_workspace.Directory, "raced");
            using var together = new Barrier(4);
            int named = 0;
            Parallel.For(0, 4, new ParallelOptions { MaxDegreeOfParallelism = 4 }, creator =>
            {
                using SafeFileHandle file = TemporaryFiles.Create(_workspace.Directory);
                RandomAccess.Write(file, [(byte)creator], 0);
                together.SignalAndWait();
                if (!SegmentStore.TryNameTemporary(TemporaryFiles.PathOf(file), path)) return;
                Interlocked.Increment(ref named);
                Assert.That(RandomAccess.GetLength(file), Is.EqualTo(1));
            });
            Assert.That(named, Is.EqualTo(1), $"round {round}");
            Assert.That(Directory.GetFiles(_workspace.Directory), Is.EqualTo(new[] { path }), "temporary names are gone");
            File.Delete(path);
        }
    }

    [Test]
    public void What_a_killed_creator_left_is_removed_by_the_next_one()
    {
        string left = Path.Combine(_workspace.Directory, ".new-left"), busy = Path.Combine(_workspace.Directory, ".new-busy");
        File.WriteAllText(left, "");
        using (File.OpenHandle(busy, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.ReadWrite))
        {
            TemporaryFiles.Create(_workspace.Directory).Dispose();
            Assert.That(Directory.GetFiles(_workspace.Directory), Is.EqualTo(new[] { busy }));
        }

        TemporaryFiles.Create(_workspace.Directory).Dispose();
        Assert.That(Directory.GetFiles(_workspace.Directory), Is.Empty);
    }

    [Test]
    public void Processes_that_create_the_same_name_at_once_get_the_same_file_and_leave_no_temporary_one()
    {
        PeerProcess[] peers = [.. Enumerable.Range(0, 4).Select(_ => Start("segment-open", "race"))];
        foreach (PeerProcess peer in peers) peer.WaitFor("ready");
        foreach (PeerProcess peer in peers) peer.Say("go");
        string[] inodes = [.. peers.Select(peer => peer.WaitFor("inode").Split(' ')[1])];
        foreach (PeerProcess peer in peers) Finish(peer);

        Assert.That(inodes.Distinct().Count(), Is.EqualTo(1), string.Join(", ", inodes));
        Assert.That(Directory.GetFiles(_workspace.Directory, ".new-*"), Is.Empty);
        Assert.That(File.Exists(_workspace.PathOf("race", SegmentShape.Queue)), Is.True);
    }

    [Test]
    public void A_segment_in_use_is_not_removed_and_one_of_a_killed_process_is()
    {
        using PeerProcess user = Start("queue-stay", "jobs");
        user.WaitFor("ready");
        using PeerProcess refused = Start("segment-remove", "jobs");
        refused.WaitForExit();
        Assert.That(File.Exists(_workspace.PathOf("jobs", SegmentShape.Queue)), Is.True);

        user.Kill();

        using PeerProcess remover = Start("segment-remove", "jobs");
        Assert.That(remover.WaitForExit(), Is.Zero, remover.Errors);
        Assert.That(Directory.GetFiles(_workspace.Directory), Is.Empty);
    }

    private PeerProcess Start(params string[] arguments) => _workspace.StartWith(s_portable, arguments);

    private static void Finish(PeerProcess peer)
    {
        peer.Say("finish");
        Assert.That(peer.WaitForExit(), Is.Zero, peer.Errors);
    }
}
