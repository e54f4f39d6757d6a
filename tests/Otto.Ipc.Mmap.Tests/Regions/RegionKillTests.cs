using System.Diagnostics;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.Mmap.Tests.Regions;

// A writer is a real process and meets a real SIGKILL or SIGSTOP: before each step of a write, and at moments that nobody chose.

internal sealed class RegionKillTests : RegionTest
{
    // From this step on the new value counts.
    private const RegionWriteStep FirstAfterCommit = RegionWriteStep.BeginFront;

    private static readonly RegionWriteStep[] Steps =
        [RegionWriteStep.WriteRedo, RegionWriteStep.WriteRedoHeader, RegionWriteStep.Commit, RegionWriteStep.BeginFront,
            RegionWriteStep.EndFront, RegionWriteStep.Settle, RegionWriteStep.Unlock];

    private static readonly string Old = new('o', 3000);
    private static readonly string New = new('n', 9000);

    [TestCaseSource(nameof(Steps))]
    public void A_writer_killed_before_a_step_leaves_the_old_or_the_new_value(RegionWriteStep step)
    {
        Prepare();
        KillWriterAt(step);
        AssertHolds(step < FirstAfterCommit ? Old : New);
        Assert.That(StateOf(FilePath).IsCommitted, Is.False, "opening the region finishes the dead writer's work");
        Assert.That(ForeignRead(FilePath).GetProperty("key").GetString(), Is.EqualTo(step < FirstAfterCommit ? Old : New),
            "a foreign reader sees the finished value");
    }

    [TestCaseSource(nameof(Steps))]
    public void The_next_writer_continues_from_what_a_killed_one_left(RegionWriteStep step)
    {
        JsonRegion next = Prepare();
        KillWriterAt(step);
        next.Set("other", 1);
        AssertHolds(step < FirstAfterCommit ? Old : New);
        Assert.That(next.Get("other"), Is.Not.Null);
    }

    [TestCaseSource(nameof(Steps))]
    public void A_stopped_writer_does_not_keep_readers_from_reading(RegionWriteStep step)
    {
        JsonRegion region = Prepare();
        using ChildProcess writer = ChildProcess.Peer("region-set", FilePath, "key", New, "stop", step.ToString());
        writer.AwaitStopped();

        Eventually.Ends(() => AssertHolds(step < FirstAfterCommit ? Old : New), "reading beside a stopped writer");
        JsonRegion impatient = JsonRegion.Open(Location, new RegionOptions { LockTimeout = TimeSpan.FromMilliseconds(50) });
        Assert.That(() => impatient.Set("other", 1),
            Throws.TypeOf<TimeoutException>().With.Message.Contains($"process {writer.Id}").And.Message.Contains("stopped"));

        writer.Signal(ChildProcess.SigContinue);
        Assert.That(writer.AwaitExit(), Is.Zero);
        region.Set("other", 1);
        AssertHolds(New);
    }

    [Test]
    public void A_writer_killed_at_any_moment_leaves_one_whole_value()
    {
        JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 128 * 1024 }).Set("length", 0);
        var random = new Random(20);
        for (int round = 0; round < 25; round++)
        {
            using ChildProcess writer = ChildProcess.Peer("region-rewrite", FilePath, "50000");
            writer.AwaitReady();
            writer.Go();
            ulong before = StateOf(FilePath).Word;
            Eventually.True(() => StateOf(FilePath).Word != before, "the writer writes");

            // The moment is the point here, so it is drawn by chance, not waited for.
            long start = Stopwatch.GetTimestamp();
            var moment = TimeSpan.FromMicroseconds(random.Next(5000));
            while (Stopwatch.GetElapsedTime(start) < moment) Thread.SpinWait(10);
            writer.Signal(ChildProcess.SigKill);
            Assert.That(writer.AwaitExit(), Is.EqualTo(137));

            AssertWhole(RegionReaderResult());
            AssertWhole(JsonRegion.Open(Location).Read());
            Assert.That(ForeignRead(FilePath).GetRawText(), Is.EqualTo(JsonRegion.Open(Location).Read().Root.GetRawText()));
        }
    }

    [Test]
    public void Killing_finds_a_writer_that_forgot_to_commit()
    {
        Prepare();
        KillWriterAt(RegionWriteStep.EndFront, "skip", nameof(RegionWriteStep.Commit));
        Assert.That(() => AssertHolds(New), Throws.Exception, "the planted bug");
        Assert.That(() => AssertHolds(Old), Throws.Exception, "the planted bug");
    }

    [Test]
    public void Killing_finds_a_writer_that_forgot_the_redo_copy()
    {
        Prepare();
        KillWriterAt(RegionWriteStep.EndFront, "skip", nameof(RegionWriteStep.WriteRedo));
        Assert.That(() => AssertHolds(New), Throws.Exception, "the planted bug");
    }

    // Reads as a reader does that may not finish the dead writer's work.
    private RegionSnapshot RegionReaderResult() => new(RegionReader.Read(FilePath, TimeSpan.FromMilliseconds(5))!);

    private static void AssertWhole(RegionSnapshot snapshot)
    {
        if (snapshot["length"]!.Value.GetInt32() is var length and > 0)
        {
            string text = snapshot["first"]!.Value.GetString()!;
            Assert.That(text, Has.Length.EqualTo(length));
            Assert.That(text.Trim(text[0]), Is.Empty);
            Assert.That(snapshot["last"]!.Value.GetString(), Is.EqualTo(text));
        }
    }

    private JsonRegion Prepare()
    {
        JsonRegion region = JsonRegion.Create(Location);
        region.Set("key", Old);
        return region;
    }

    private void KillWriterAt(RegionWriteStep step, params string[] fates)
    {
        using ChildProcess writer = ChildProcess.Peer(["region-set", FilePath, "key", New, "kill", step.ToString(), .. fates]);
        Assert.That(writer.AwaitExit(), Is.EqualTo(137));
    }

    private void AssertHolds(string expected)
    {
        string? found = RegionReaderResult()["key"]!.Value.GetString();
        if (found != expected) throw new InvalidOperationException($"found {found?.Length} bytes beginning with {found?[0]}");
        found = JsonRegion.Open(Location).Get("key")!.Value.GetString();
        if (found != expected) throw new InvalidOperationException($"after opening: {found?.Length} bytes beginning with {found?[0]}");
    }
}
