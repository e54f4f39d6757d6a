using Otto.Ipc.Mmap.Regions;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Mmap.Tests.Regions;

// Waiting for news, whoever brings it and however the file changes.

internal sealed class RegionWatchTests : RegionTest
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(30);

    [Test]
    public void A_change_by_another_process_ends_the_wait()
    {
        RegionSnapshot now = Waited(() =>
        {
            using ChildProcess writer = ChildProcess.Peer("region-set", FilePath, "key", "new");
            writer.Output();
        });
        Assert.That(now["key"]!.Value.GetString(), Is.EqualTo("new"));
    }

    [Test]
    public void A_change_through_a_foreign_mapping_ends_the_wait()
    {
        RegionSnapshot now = Waited(() =>
        {
            using ChildProcess writer = ChildProcess.Python(
                """
                import mmap, sys
                f = open(sys.argv[1], "r+b"); m = mmap.mmap(f.fileno(), 0); m[0:11] = b'\x07\0\0\0{"a":1}'
                """,
                FilePath);
            writer.Output();
        });
        Assert.That(now["a"]!.Value.GetInt32(), Is.EqualTo(1));
    }

    [Test]
    public void A_file_put_in_the_regions_place_is_noticed()
    {
        RegionSnapshot now = Waited(() =>
        {
            string other = Path.Combine(Folder, "other");
            JsonRegion.Create(Location with { FilePath = other }).Set("key", "moved");
            File.Move(other, FilePath, overwrite: true);
        });
        Assert.That(now["key"]!.Value.GetString(), Is.EqualTo("moved"));
        JsonRegion.Open(Location).Set("key", "again");
        Assert.That(JsonRegion.Open(Location).Get("key")!.Value.GetString(), Is.EqualTo("again"));
    }

    [Test]
    public void Removing_the_region_ends_the_waiting_with_an_error() =>
        Assert.That(() => Waited(() => File.Delete(FilePath)), Throws.TypeOf<FileNotFoundException>());

    [Test]
    public void Cancelling_ends_the_waiting()
    {
        JsonRegion region = JsonRegion.Create(Location);
        RegionSnapshot before = region.Read();
        using var cancel = new CancellationTokenSource();
        Task waiting = Task.Run(() => region.WaitForChange(before, Timeout.InfiniteTimeSpan, cancel.Token));
        cancel.Cancel();
        Eventually.True(() => waiting.IsCompleted, "the waiting ends");
        Assert.That(() => waiting.GetAwaiter().GetResult(), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(async () => await region.WaitForChangeAsync(before, Long, cancel.Token),
            Throws.InstanceOf<OperationCanceledException>());
    }

    private RegionSnapshot Waited(Action change)
    {
        JsonRegion region = JsonRegion.Create(Location);
        RegionSnapshot before = region.Read();
        Task<RegionSnapshot?> waiting = Task.Run(() => region.WaitForChange(before, Long));
        change();
        return waiting.GetAwaiter().GetResult()!;
    }
}
