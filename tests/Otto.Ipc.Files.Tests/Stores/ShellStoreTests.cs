using System.Diagnostics;
using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Stores;

// cat, jq and flock read, write and lock what we do.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ShellStoreTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task Cat_and_jq_read_what_was_set()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("photo");
        await store.SetAsync("width", "640"u8.ToArray());
        await store.SetAsync("name", Encoding.UTF8.GetBytes("\"größe \\\"a\\\".jpg\""));
        await store.SetAsync("raw", new byte[] { 0, 255, 10 });
        Assert.That(_workspace.Bash("cat tasks/photo/output.photo.json").Output,
            Is.EqualTo("{\n  \"name\": \"größe \\\"a\\\".jpg\",\n  \"raw\": {\"$base64\":\"AP8K\"},\n  \"width\": 640\n}\n"));
        Assert.That(_workspace.Bash("jq -r .name tasks/photo/output.photo.json").Output, Is.EqualTo("größe \"a\".jpg\n"));
        Assert.That(_workspace.Bash("jq -r '.raw[\"$base64\"]' tasks/photo/output.photo.json | base64 -d | od -An -tu1").Output.Trim(),
            Is.EqualTo("0 255  10"));
        Assert.That(_workspace.Bash("cd tasks; LC_ALL=C stat -c '%a %F' . photo photo/output.photo.json photo/output.photo.lock").Output,
            Is.EqualTo("700 directory\n700 directory\n600 regular file\n600 regular empty file\n"));
    }

    [Test]
    public async Task A_file_that_a_script_wrote_is_read_and_watched()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("photo");
        await using IStoreWatch watch = await store.WatchAsync();
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        ValueTask<bool> next = news.MoveNextAsync();
        Assert.That(_workspace.Bash(
            "umask 077; jq -n '{a: [1, 2], \"not a key\": 1}' > tasks/photo/new && mv tasks/photo/new tasks/photo/output.photo.json").Code,
            Is.Zero);
        Assert.That(await Watchdog.WaitAsync(next), Is.True);
        Assert.That((news.Current.Key, Encoding.UTF8.GetString(news.Current.Value.Span).ReplaceLineEndings("").Replace(" ", "",
            StringComparison.Ordinal)), Is.EqualTo(("a", "[1,2]")));
        Assert.That(await store.ListAsync(), Is.EqualTo(new[] { "a" }));
        // What could not be a key here is nobody's, and stays.
        await store.SetAsync("b", "1"u8.ToArray());
        Assert.That(_workspace.Bash("jq -c keys tasks/photo/output.photo.json").Output, Is.EqualTo("[\"a\",\"b\",\"not a key\"]\n"));
    }

    [Test]
    public async Task A_file_that_is_written_in_place_is_read_anew()
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("photo");
        await store.SetAsync("a", "1"u8.ToArray());
        Assert.That(await store.GetAsync("a"), Is.Not.Null);
        Assert.That(_workspace.Bash("echo '{\"b\":22}' > tasks/photo/output.photo.json").Code, Is.Zero);
        Assert.That(await store.ListAsync(), Is.EqualTo(new[] { "b" }));
        File.Delete(_workspace.StorePath("photo"));
        Assert.That(await store.ListAsync(), Is.Empty);
    }

    [Test]
    public async Task A_writer_waits_while_flock_holds_the_lock_and_readers_do_not()
    {
        var patient = new FilesTransport(_workspace.Options);
        var impatient = new FilesTransport(_workspace.Options with { LockTimeout = TimeSpan.FromMilliseconds(50) });
        await using IKeyValueStore store = patient.OpenStore("photo"), hasty = impatient.OpenStore("photo");
        await store.SetAsync("a", "1"u8.ToArray());
        using Process holder = Shell.Start(_workspace.Directory, "exec flock tasks/photo/output.photo.lock bash -c 'echo held; read -r _'");
        Assert.That(await Watchdog.WaitAsync(holder.StandardOutput.ReadLineAsync()), Is.EqualTo("held"));
        Assert.That(async () => await hasty.SetAsync("a", "2"u8.ToArray()),
            Throws.TypeOf<TimeoutException>().With.Message.Contains("output.photo.lock").And.Message.Contains("(flock)"));
        Assert.That((await hasty.GetAsync("a"))!.Value.ToArray(), Is.EqualTo("1"u8.ToArray()));
        using var stop = new CancellationTokenSource();
        Task cancelled = store.SetAsync("a", "3"u8.ToArray(), stop.Token).AsTask();
        Task waiting = store.SetAsync("a", "4"u8.ToArray()).AsTask();
        await stop.CancelAsync();
        Assert.That(async () => await Watchdog.WaitAsync(cancelled), Throws.InstanceOf<OperationCanceledException>());
        Assert.That(waiting.IsCompleted, Is.False);
        await holder.StandardInput.WriteLineAsync("go");
        await Watchdog.WaitAsync(waiting);
        Assert.That((await store.GetAsync("a"))!.Value.ToArray(), Is.EqualTo("4"u8.ToArray()));
        await holder.WaitForExitAsync();
    }

    [Test]
    public async Task Flock_waits_while_a_writer_holds_the_lock()
    {
        // Held by FileShare.None, which .NET programs without this library use: it is flock too.
        await using IKeyValueStore store = _workspace.Transport.OpenStore("photo");
        await store.SetAsync("a", "1"u8.ToArray());
        string path = Path.Combine(_workspace.TaskDirectory("photo"), "output.photo.lock");
        using (new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None))
        {
            Assert.That(_workspace.Bash("flock -n tasks/photo/output.photo.lock true").Code, Is.EqualTo(1));
        }

        Assert.That(_workspace.Bash("flock -n tasks/photo/output.photo.lock true").Code, Is.Zero);
    }
}
