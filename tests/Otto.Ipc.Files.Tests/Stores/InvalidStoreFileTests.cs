using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Stores;

// Whatever lies where a store should: a clear error that says which file and what to do, and nothing is changed.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class InvalidStoreFileTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [TestCase("", "begin with '{'")]
    [TestCase("garbage", "invalid start")]
    [TestCase("[1,2]", "begin with '{'")]
    [TestCase("{\"a\":1", "JSON")]
    [TestCase("{\"a\":1} {\"b\":2}", "JSON")]
    [TestCase("{\"a\":\"\\ud800\"", "JSON")]
    [TestCase("{\"\\ud800\":1}", "JSON")]
    [TestCase("{\"a\":\"\u0001\"}", "JSON")]
    public async Task What_is_not_one_JSON_object_is_refused_and_stays(string text, string says)
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        string path = _workspace.StorePath("task");
        File.WriteAllText(path, text);
        Assert.That(async () => await store.GetAsync("a"),
            Throws.TypeOf<CorruptSegmentException>().With.Message.Contains(path).And.Message.Contains(says));
        Assert.That(async () => await store.SetAsync("a", "1"u8.ToArray()), Throws.TypeOf<CorruptSegmentException>());
        Assert.That(async () => await store.ListAsync(), Throws.TypeOf<CorruptSegmentException>());
        Assert.That(File.ReadAllText(path), Is.EqualTo(text));
        // Once it is mended, all goes on.
        File.WriteAllText(path, "{\"a\":2}");
        Assert.That((await store.GetAsync("a"))!.Value.ToArray(), Is.EqualTo("2"u8.ToArray()));
    }

    [Test]
    public async Task JSON_nested_too_deeply_is_refused()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        File.WriteAllText(_workspace.StorePath("task"), "{\"a\":" + new string('[', 100_000) + new string(']', 100_000) + "}");
        Assert.That(async () => await store.GetAsync("a"), Throws.TypeOf<CorruptSegmentException>());
    }

    [Test]
    public async Task A_link_in_the_files_place_is_neither_read_nor_written_through()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        string elsewhere = Path.Combine(_workspace.Directory, "elsewhere");
        File.WriteAllText(elsewhere, "{\"secret\":1}");
        File.CreateSymbolicLink(_workspace.StorePath("task"), elsewhere);
        Assert.That(async () => await store.GetAsync("secret"),
            Throws.TypeOf<UnauthorizedAccessException>().With.Message.Contains("symbolic link"));
        Assert.That(async () => await store.SetAsync("a", "1"u8.ToArray()), Throws.TypeOf<UnauthorizedAccessException>());
        Assert.That(File.ReadAllText(elsewhere), Is.EqualTo("{\"secret\":1}"));
    }

    [Test]
    public async Task A_link_in_the_place_of_the_new_file_or_the_lock_is_not_written_through()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        string elsewhere = Path.Combine(_workspace.Directory, "elsewhere");
        File.WriteAllText(elsewhere, "mine");
        File.CreateSymbolicLink(Path.Combine(_workspace.TaskDirectory("task"), ".output.task.json.new"), elsewhere);
        await store.SetAsync("a", "1"u8.ToArray());
        Assert.That(File.ReadAllText(elsewhere), Is.EqualTo("mine"));
        await using IKeyValueStore second = _workspace.Transport.OpenStore("other");
        File.CreateSymbolicLink(Path.Combine(_workspace.TaskDirectory("other"), "output.other.lock"), elsewhere);
        Assert.That(async () => await second.SetAsync("a", "1"u8.ToArray()),
            Throws.TypeOf<UnauthorizedAccessException>().With.Message.Contains("symbolic link"));
        Assert.That(File.ReadAllText(elsewhere), Is.EqualTo("mine"));
    }

    [Test]
    public async Task A_directory_a_pipe_and_a_file_open_to_all_are_refused([Values("mkdir", "mkfifo", "touch")] string what)
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        Assert.That(_workspace.Bash($"{what} tasks/task/output.task.json && chmod 666 tasks/task/output.task.json").Code, Is.Zero);
        Assert.That(async () => await Watchdog.WaitAsync(store.GetAsync("a").AsTask()),
            Throws.TypeOf<UnauthorizedAccessException>().With.Message.Contains("output.task.json"));
    }

    [Test]
    public void A_directory_that_others_could_write_to_is_refused([Values("", "tasks", "tasks/task")] string which)
    {
        Assert.That(Shell.Run("/", $"mkdir -p -m 700 {_workspace.Directory}/tasks/task && chmod 770 {_workspace.Directory}/{which}").Code,
            Is.Zero);
        Assert.That(() => _workspace.Transport.OpenStore("task"),
            Throws.TypeOf<UnauthorizedAccessException>().With.Message.Contains("770").And.Message.Contains("chmod 700"));
    }

    [Test]
    public void A_directory_that_is_a_link_is_refused()
    {
        Assert.That(Shell.Run("/", $"mkdir -p -m 700 {_workspace.Directory}/real && ln -s real {_workspace.Directory}/tasks").Code,
            Is.Zero);
        Assert.That(() => _workspace.Transport.OpenStore("task"),
            Throws.TypeOf<UnauthorizedAccessException>().With.Message.Contains("symbolic link"));
    }

    [Test]
    public async Task An_enormous_file_is_refused_without_being_read()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        using (FileStream file = File.Create(_workspace.StorePath("task"))) file.SetLength(1L << 40);
        long before = GC.GetAllocatedBytesForCurrentThread();
        Assert.That(async () => await store.GetAsync("a"),
            Throws.TypeOf<CorruptSegmentException>().With.Message.Contains("1,099,511,627,776").And.Message.Contains("67,108,864"));
        Assert.That(GC.GetAllocatedBytesForCurrentThread() - before, Is.LessThan(64 << 20));
    }

    [Test]
    public async Task A_store_that_would_grow_past_its_limit_is_refused_whole()
    {
        await using IKeyValueStore store = new FilesTransport(_workspace.Options with { MaxStoreBytes = 1000 }).OpenStore("task");
        await store.SetAsync("a", "1"u8.ToArray());
        Assert.That(async () => await store.SetAsync("b", new byte[800]), Throws.TypeOf<IOException>().With.Message.Contains("1,000"));
        Assert.That(await store.ListAsync(), Is.EqualTo(new[] { "a" }));
    }

    [Test]
    public async Task A_store_whose_directory_was_removed_continues()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        await store.SetAsync("a", "1"u8.ToArray());
        Directory.Delete(_workspace.TaskDirectory("task"), recursive: true);
        Assert.That(await store.GetAsync("a"), Is.Null);
        await store.SetAsync("b", "2"u8.ToArray());
        Assert.That(await store.ListAsync(), Is.EqualTo(new[] { "b" }));
    }

    [Test]
    public void Options_that_make_no_sense_are_refused_with_their_numbers()
    {
        Assert.That(() => new FilesTransport(new FilesTransportOptions { MaxValueBytes = 0 }),
            Throws.TypeOf<ArgumentOutOfRangeException>().With.Message.Contains("MaxValueBytes").And.Message.Contains('0'));
        Assert.That(() => new FilesTransport(new FilesTransportOptions { PollInterval = TimeSpan.Zero }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new FilesTransport(new FilesTransportOptions { LockTimeout = TimeSpan.FromSeconds(-2) }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new FilesTransport(new FilesTransportOptions { Flush = (FlushLevel)9 }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
        Assert.That(() => new FilesTransport(new FilesTransportOptions { Watching = (WatchMode)9 }),
            Throws.TypeOf<ArgumentOutOfRangeException>());
    }
}
