using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Stores;

// What a killed writer leaves in the directory, and writers in other processes and in a shell. (Killing and
// reading all the time, on every transport: Otto.Ipc.Hosting.Tests.)

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class KilledWriterTests
{
    private readonly TestWorkspace _workspace = new();

    [TearDown]
    public void CleanUp() => _workspace.Dispose();

    [Test]
    public async Task What_a_killed_writer_left_unfinished_is_never_read_and_does_not_stop_the_next(
        [Values("", "{\"k\":", "{\"k\":2}")] string left)
    {
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        await store.SetAsync("k", "1"u8.ToArray());
        File.WriteAllText(Path.Combine(_workspace.TaskDirectory("task"), ".output.task.json.new"), left);
        Assert.That((await store.GetAsync("k"))!.Value.ToArray(), Is.EqualTo("1"u8.ToArray()));
        await store.SetAsync("other", "3"u8.ToArray());
        Assert.That((await store.GetAsync("k"))!.Value.ToArray(), Is.EqualTo("1"u8.ToArray()));
    }

    [Test]
    public async Task Processes_that_set_keys_of_their_own_lose_nothing_to_each_other_and_neither_does_a_script()
    {
        const int Each = 150;
        await using IKeyValueStore store = _workspace.Transport.OpenStore("task");
        await store.SetAsync("first", "1"u8.ToArray());
        PeerProcess[] writers =
            [.. Enumerable.Range(0, 3).Select(
                i => _workspace.Start("store-set", "task", $"w{i}.", Each.ToString(CultureInfo.InvariantCulture)))];
        foreach (PeerProcess writer in writers) writer.WaitFor("ready");
        // As docs/files.md shows it.
        ShellResult script = _workspace.Bash("""
            set -e
            cd tasks/task
            for i in {0..19}; do
              (
                flock 9
                jq --argjson i "$i" '.["sh.\($i)"] = $i' output.task.json > .script.new
                mv .script.new output.task.json
              ) 9> output.task.lock
            done
            """);
        Assert.That(script.Code, Is.Zero, script.Errors);
        foreach (PeerProcess writer in writers) Assert.That(writer.WaitForExit(), Is.Zero, writer.Errors);
        IReadOnlyList<string> keys = await store.ListAsync("*.*");
        string[] wanted = [.. Enumerable.Range(0, 3).SelectMany(w => Enumerable.Range(0, Each).Select(i => $"w{w}.{i}")),
            .. Enumerable.Range(0, 20).Select(i => $"sh.{i}")];
        Assert.That(keys, Is.EquivalentTo(wanted));
    }
}
