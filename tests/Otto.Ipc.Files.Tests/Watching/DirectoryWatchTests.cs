using Otto.Ipc.Conformance;
using Otto.Ipc.Files.Watching;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Tests.Watching;

// One inotify instance for everybody, and nothing watched where nobody waits.

[NonParallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class DirectoryWatchTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task Any_number_of_waiters_share_one_instance_and_leave_no_watch()
    {
        int before = DirectoryWatch.Count;
        var watches = new List<(IKeyValueStore Store, IStoreWatch Watch, IAsyncEnumerator<StoreChange> News, Task<bool> Next)>();
        for (int i = 0; i < 200; i++)
        {
            IKeyValueStore store = _workspace.Transport.OpenStore($"task{i}");
            IStoreWatch watch = await store.WatchAsync();
            IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
            watches.Add((store, watch, news, news.MoveNextAsync().AsTask()));
        }

        Assert.That(DirectoryWatch.Count, Is.EqualTo(before + 200));
        Assert.That(Instances(), Is.EqualTo(1));
        await watches[77].Store.SetAsync("k", "1"u8.ToArray());
        Assert.That(await Watchdog.WaitAsync(watches[77].Next), Is.True);
        foreach ((IKeyValueStore store, IStoreWatch watch, IAsyncEnumerator<StoreChange> news, Task<bool> next) in watches)
        {
            await watch.DisposeAsync();
            await Watchdog.WaitAsync(next);
            await news.DisposeAsync();
            await store.DisposeAsync();
        }

        Assert.That(DirectoryWatch.Count, Is.EqualTo(before));
    }

    [Test]
    public void A_directory_without_waiters_is_not_watched()
    {
        int before = DirectoryWatch.Count;
        using MessageSender sender = _workspace.Transport.OpenSender("frames");
        using MessageReceiver receiver = _workspace.Transport.OpenReceiver("frames");
        using WorkQueue queue = _workspace.Transport.OpenQueue("jobs");
        sender.TrySend("1"u8);
        queue.TrySend("1"u8);
        Assert.That(receiver.WaitToReceive(Watchdog.Limit), Is.True);
        Assert.That(queue.WaitToLease(Watchdog.Limit), Is.True);
        Assert.That(DirectoryWatch.Count, Is.EqualTo(before));
    }

    [Test]
    public void A_watch_rings_once_and_one_that_is_armed_again_rings_again()
    {
        Directory.CreateDirectory(_workspace.Directory);
        var signal = new ChangeSignal();
        for (int i = 0; i < 3; i++)
        {
            Task signalled = signal.Next();
            Assert.That(DirectoryWatch.Arm(_workspace.Directory, signal), Is.True);
            File.WriteAllText(Path.Combine(_workspace.Directory, $"file{i}"), "x");
            Assert.That(signalled.Wait(Watchdog.Limit), Is.True);
        }

        Assert.That(DirectoryWatch.Arm(Path.Combine(_workspace.Directory, "nowhere"), signal), Is.False, "the waiter polls instead");
        DirectoryWatch.Forget(signal);
    }

    [Test]
    public void A_waiter_whose_directory_cannot_be_watched_polls()
    {
        // As where the kernel has no watch left: arming fails, and the answer comes by polling.
        using var waiter = new ChangeWaiter(new FilesTransportOptions { PollInterval = TimeSpan.FromMilliseconds(5) });
        var condition = new After(polls: 3, Path.Combine(_workspace.Directory, "nowhere"));
        Assert.That(waiter.Wait(condition, Watchdog.Limit, CancellationToken.None), Is.True);
        Assert.That(condition.Polls, Is.EqualTo(3));
    }

    private static int Instances() =>
        OpenDescriptors.All().Count(static descriptor => descriptor.Target.Contains("inotify", StringComparison.Ordinal));

    private sealed class After(int polls, string directory) : IWaitCondition
    {
        public int Polls { get; private set; }

        public IEnumerable<string> Directories => [directory];

        public TimeSpan NextPollIn => ChangeWaiter.LongestSleep;

        public bool? Poll() => ++Polls >= polls ? true : null;
    }
}
