using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.Mmap.Tests.Regions;

// Several processes on one region: nothing is lost, nothing is seen by half.

internal sealed class RegionConcurrencyTests : RegionTest
{
    private const int Writers = 4;
    private const int Times = 300;

    [Test]
    public void Processes_that_set_different_keys_lose_no_update()
    {
        JsonRegion region = JsonRegion.Create(Location);
        ChildProcess[] writers =
            [.. Enumerable.Range(0, Writers).Select(i => ChildProcess.Peer("region-count", FilePath, $"key{i}", $"{Times}"))];
        Run(writers);
        for (int i = 0; i < Writers; i++) Assert.That(region.Get($"key{i}")!.Value.GetInt32(), Is.EqualTo(Times));
    }

    [Test]
    public void Processes_that_count_the_same_key_lose_no_update()
    {
        JsonRegion region = JsonRegion.Create(Location);
        ChildProcess[] writers =
            [.. Enumerable.Range(0, Writers).Select(_ => ChildProcess.Peer("region-count", FilePath, "key", $"{Times}"))];
        Run(writers);
        Assert.That(region.Get("key")!.Value.GetInt32(), Is.EqualTo(Writers * Times));
    }

    [Test]
    public void Threads_of_one_process_lose_no_update()
    {
        JsonRegion region = JsonRegion.Create(Location);
        Parallel.For(0, Writers, _ =>
        {
            for (int i = 0; i < Times; i++) region.Update(root => root["key"] = (root["key"]?.GetValue<int>() ?? 0) + 1);
        });
        Assert.That(region.Get("key")!.Value.GetInt32(), Is.EqualTo(Writers * Times));
    }

    [TestCase(200)]
    [TestCase(50_000)]
    public void A_reader_never_sees_half_a_value(int bytes)
    {
        JsonRegion region = JsonRegion.Create(Location, new RegionOptions { CapacityBytes = 128 * 1024 });
        using ChildProcess writer = ChildProcess.Peer("region-rewrite", FilePath, $"{bytes}");
        writer.AwaitReady();
        writer.Go();
        Eventually.True(() => region.Get("length") is not null, "the writer writes");

        int changes = 0, i = 0;
        RegionSnapshot last = region.Read();
        Eventually.True(() =>
        {
            RegionSnapshot now = region.Read();
            if (!now.SameAs(last)) changes++;
            last = now;
            string first = now["first"]!.Value.GetString()!, end = now["last"]!.Value.GetString()!;
            i++;
            if (first != end || first.Length != now["length"]!.Value.GetInt32() || first.AsSpan().ContainsAnyExcept(first[0]))
                Assert.Fail($"half a value at read {i}: {now.Root.GetRawText()}");
            return i >= 5000 && changes >= 1000;
        }, "5,000 reads that saw 1,000 changes");
    }

    [Test]
    public void Reading_finds_a_writer_that_forgot_to_commit()
    {
        JsonRegion region = JsonRegion.Create(Location);
        string old = new('o', 4000), next = new('n', 4000);
        region.Set("key", old);
        using ChildProcess writer =
            ChildProcess.Peer("region-set", FilePath, "key", next, "skip", nameof(RegionWriteStep.Commit), "stop",
                nameof(RegionWriteStep.EndFront));
        writer.AwaitStopped();
        Assert.That(region.Get("key")!.Value.GetString(), Is.Not.EqualTo(old).And.Not.EqualTo(next), "the planted bug: half of each");
    }

    [Test]
    public void Two_that_make_the_same_region_get_the_same_one()
    {
        for (int i = 0; i < 50; i++)
        {
            RegionLocation location = Location with { FilePath = Path.Combine(Folder, $"region{i}") };
            Parallel.For(0, 4, n => JsonRegion.OpenOrCreate(location).Set($"key{n}", n));
            Assert.That(JsonRegion.Open(location).Read().Root.EnumerateObject().Count(), Is.EqualTo(4));
        }
    }

    private static void Run(ChildProcess[] writers)
    {
        try
        {
            foreach (ChildProcess writer in writers) writer.AwaitReady();
            foreach (ChildProcess writer in writers) writer.Go();
            foreach (ChildProcess writer in writers) writer.Output();
        }
        finally
        {
            foreach (ChildProcess writer in writers) writer.Dispose();
        }
    }
}
