using System.Diagnostics;
using System.Globalization;
using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Files.Tests.Stores;

// Writers are real processes and meet a real SIGKILL; readers look all the time and never see half a value.

[Parallelizable(ParallelScope.All)]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class KilledWriters
{
    private readonly TestPlace _place = new();

    /// <summary>How many writes readers are held against: a few thousand, or what OTTO_STORE_WRITES says (the long form is 1,000,000).</summary>
    private static int Writes => int.Parse(Environment.GetEnvironmentVariable("OTTO_STORE_WRITES") ?? "6000", CultureInfo.InvariantCulture);

    [TearDown]
    public void GiveBack() => _place.Dispose();

    [Test]
    public async Task A_writer_killed_at_any_moment_leaves_the_old_or_the_new_value()
    {
        await using IKeyValueStore store = _place.Transport.OpenStore("task");
        await store.SetAsync("other", "1"u8.ToArray());
        var random = new Random(20);
        for (int round = 0; round < 15; round++)
        {
            using PeerProcess writer = _place.Start("store-rewrite", "task", "k", "50000", "0");
            writer.WaitFor("first");
            // The moment is the point here, so it is drawn by chance, not waited for.
            long start = Stopwatch.GetTimestamp();
            var moment = TimeSpan.FromMicroseconds(random.Next(5000));
            while (Stopwatch.GetElapsedTime(start) < moment) Thread.SpinWait(10);
            writer.Kill();
            AssertWhole(await store.GetAsync("k"));
            // The lock went with its holder, and what lay half-made is no obstacle.
            await store.SetAsync("other", Encoding.UTF8.GetBytes($"{round}"));
            AssertWhole(await store.GetAsync("k"));
            Assert.That(Directory.GetFiles(_place.TaskDirectory("task"), ".*"), Is.Empty);
        }
    }

    [Test]
    public async Task What_a_killed_writer_left_unfinished_is_never_read_and_does_not_stop_the_next([Values("", "{\"k\":", "{\"k\":2}")] string left)
    {
        await using IKeyValueStore store = _place.Transport.OpenStore("task");
        await store.SetAsync("k", "1"u8.ToArray());
        File.WriteAllText(Path.Combine(_place.TaskDirectory("task"), ".output.task.json.new"), left);
        Assert.That((await store.GetAsync("k"))!.Value.ToArray(), Is.EqualTo("1"u8.ToArray()));
        await store.SetAsync("other", "3"u8.ToArray());
        Assert.That((await store.GetAsync("k"))!.Value.ToArray(), Is.EqualTo("1"u8.ToArray()));
    }

    [Test]
    public async Task Readers_never_see_half_a_value_while_other_processes_write()
    {
        await using IKeyValueStore store = _place.Transport.OpenStore("task");
        await store.SetAsync("k", "\"a\""u8.ToArray());
        PeerProcess[] writers = [.. Enumerable.Range(0, 2).Select(_ => _place.Start("store-rewrite", "task", "k", "5000", (Writes / 2).ToString(CultureInfo.InvariantCulture)))];
        long reads = 0, different = 0;
        ReadOnlyMemory<byte> last = default;
        while (!writers.All(writer => writer.HasExited))
        {
            ReadOnlyMemory<byte>? seen = await store.GetAsync("k");
            AssertWhole(seen);
            if (!seen!.Value.Span.SequenceEqual(last.Span)) different++;
            last = seen.Value;
            reads++;
        }

        foreach (PeerProcess writer in writers) Assert.That(writer.WaitForExit(), Is.Zero, writer.Errors);
        await TestContext.Out.WriteLineAsync($"{Writes:N0} writes, {reads:N0} reads, {different:N0} different values seen");
        Assert.That(different, Is.GreaterThan(10), "the reader saw next to nothing of the writing");
    }

    [Test]
    public async Task Processes_that_set_keys_of_their_own_lose_nothing_to_each_other_and_neither_does_a_script()
    {
        const int Each = 150;
        await using IKeyValueStore store = _place.Transport.OpenStore("task");
        await store.SetAsync("first", "1"u8.ToArray());
        PeerProcess[] writers = [.. Enumerable.Range(0, 3).Select(i => _place.Start("store-set", "task", $"w{i}.", Each.ToString(CultureInfo.InvariantCulture)))];
        foreach (PeerProcess writer in writers) writer.WaitFor("ready");
        // As docs/files.md shows it.
        ShellResult script = _place.Bash("""
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
        string[] wanted = [.. Enumerable.Range(0, 3).SelectMany(w => Enumerable.Range(0, Each).Select(i => $"w{w}.{i}")), .. Enumerable.Range(0, 20).Select(i => $"sh.{i}")];
        Assert.That(keys, Is.EquivalentTo(wanted));
    }

    private static void AssertWhole(ReadOnlyMemory<byte>? value)
    {
        Assert.That(value, Is.Not.Null);
        ReadOnlySpan<byte> bytes = value!.Value.Span;
        if (bytes.Length < 3 || bytes[0] != '"' || bytes[^1] != '"' || bytes[1..^1].IndexOfAnyExcept(bytes[1]) >= 0) Assert.Fail($"half a value: {Encoding.UTF8.GetString(bytes)}");
    }
}
