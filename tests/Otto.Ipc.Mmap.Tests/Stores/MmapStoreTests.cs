using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.Mmap.Tests.Stores;

// The store's suite over shared memory, and what is particular to a store that is a region.

[TestFixture]
[Parallelizable(ParallelScope.All)]
public sealed class MmapStoreTests : StoreConformance
{
    protected override ValueTask<IStoreHarness> CreateHarnessAsync() => new(new Harness());

    private sealed class Harness : IStoreHarness
    {
        private readonly TestWorkspace _workspace = new();

        public ValueTask<IKeyValueStore> OpenAsync() => new(_workspace.Transport.OpenStore("store"));

        public ValueTask<IKeyValueStore> OpenOtherAsync() => new(_workspace.Transport.OpenStore("other"));

        public ValueTask DisposeAsync()
        {
            _workspace.Dispose();
            return default;
        }
    }
}

[TestFixture]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class RegionStoreTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task A_store_is_a_region_that_other_programs_read_and_write()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("facts");
        await store.SetAsync("k", "[1,2]"u8.ToArray());
        JsonRegion region = JsonRegion.Open(new RegionLocation("facts") { FilePath = Path.Combine(_workspace.Directory, "facts.store") });
        Assert.That(region.Read().Root.GetRawText(), Is.EqualTo("""{"k":[1,2]}"""));
        await using IStoreWatch watch = await store.WatchAsync();
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        region.Set("from", "outside");
        Assert.That(await Watchdog.WaitAsync(news.MoveNextAsync()), Is.True);
        Assert.That((news.Current.Key, System.Text.Encoding.UTF8.GetString(news.Current.Value.Span)), Is.EqualTo(("from", "\"outside\"")));
    }

    [Test]
    public async Task A_key_that_comes_and_goes_while_the_watch_begins_is_reported_as_deleted()
    {
        // The text is then what it was when the watch began, so that only what the watch told last shows a change.
        await using IKeyValueStore store = _workspace.Transport.OpenStore("facts");
        for (int i = 0; i < 300; i++)
        {
            await using IStoreWatch watch = await store.WatchAsync();
            IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
            await store.SetAsync("k", "1"u8.ToArray());
            Assert.That(await Watchdog.WaitAsync(news.MoveNextAsync()), Is.True);
            ValueTask<bool> next = news.MoveNextAsync();
            await store.DeleteAsync("k");
            Assert.That(await Watchdog.WaitAsync(next), Is.True);
            Assert.That((news.Current.Kind, news.Current.Key), Is.EqualTo((StoreChangeKind.Deleted, "k")));
            await news.DisposeAsync();
        }
    }

    [Test]
    public async Task A_full_store_refuses_with_both_sizes_and_keeps_what_it_has()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("small", new MmapStoreOptions { CapacityBytes = 128 });
        await store.SetAsync("k", "1"u8.ToArray());
        Assert.That(async () => await store.SetAsync("big", new byte[200]),
            Throws.InstanceOf<IOException>().With.Message.Contains("has 128"));
        Assert.That((await store.ListAsync()).Single(), Is.EqualTo("k"));
    }

    [Test]
    public async Task A_writer_that_is_stopped_in_its_lock_times_the_others_out_and_readers_continue()
    {
        await using IKeyValueStore store =
            _workspace.Transport.OpenStore("facts", new MmapStoreOptions { LockTimeout = TimeSpan.FromMilliseconds(200) });
        await store.SetAsync("k", "1"u8.ToArray());
        using var holder = new Process();
        holder.StartInfo = new ProcessStartInfo("flock",
            [Path.Combine(_workspace.Directory, "facts.store"), "cat"]) { RedirectStandardInput = true, RedirectStandardOutput = true };
        holder.Start();
        holder.StandardInput.WriteLine("held");
        holder.StandardInput.Flush();
        Assert.That(await holder.StandardOutput.ReadLineAsync(), Is.EqualTo("held"));
        Assert.That(async () => await store.SetAsync("k", "2"u8.ToArray()),
            Throws.InstanceOf<TimeoutException>().With.Message.Contains("0.2 s"));
        using var stop = new CancellationTokenSource();
        ValueTask waiting = _workspace.Transport.OpenStore("facts").SetAsync("k", "3"u8.ToArray(), stop.Token);
        await stop.CancelAsync();
        Assert.That(async () => await waiting, Throws.InstanceOf<OperationCanceledException>());
        Assert.That((await store.GetAsync("k"))!.Value.ToArray(), Is.EqualTo("1"u8.ToArray()));
        holder.StandardInput.Close();
        await holder.WaitForExitAsync();
        await store.SetAsync("k", "4"u8.ToArray());
    }

    [Test]
    public async Task A_removed_store_throws_and_so_does_its_watch()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("facts");
        await using IStoreWatch watch = await store.WatchAsync();
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        ValueTask<bool> next = news.MoveNextAsync();
        Assert.That(_workspace.Transport.RemoveStore("facts"), Is.True);
        Assert.That(_workspace.Transport.RemoveStore("facts"), Is.False);
        Assert.That(async () => await Watchdog.WaitAsync(next), Throws.InstanceOf<FileNotFoundException>());
        Assert.That(async () => await store.GetAsync("k"), Throws.InstanceOf<FileNotFoundException>());
    }
}
