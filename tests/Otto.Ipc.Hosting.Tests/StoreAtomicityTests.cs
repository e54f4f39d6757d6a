using System.Diagnostics;
using System.Globalization;
using System.Text;
using Otto.Ipc.Conformance;
using Otto.Ipc.Uds;

namespace Otto.Ipc.Hosting.Tests;

// Every transport's store with writers in processes of their own, which meet a real SIGKILL, and a reader that looks all the time.

[NonParallelizable]
public sealed class StoreAtomicityTests
{
    private static readonly string[] Transports = ["mmap", "uds", "files"];

    private string _directory = "";
    private UdsServer? _server;

    /// <summary>How many writes readers are held against: a few thousand, or what
    /// OTTO_STORE_WRITES says (the long form, eng/stores, is 1,000,000).</summary>
    private static int Writes => int.Parse(Environment.GetEnvironmentVariable("OTTO_STORE_WRITES") ?? "6000", CultureInfo.InvariantCulture);

    [SetUp]
    public void MakeDirectory() => _directory = Directory.CreateTempSubdirectory("otto-stores-").FullName;

    [TearDown]
    public void RemoveDirectory()
    {
        _server?.Dispose();
        _server = null;
        Directory.Delete(_directory, recursive: true);
    }

    [TestCaseSource(nameof(Transports))]
    public async Task Readers_never_see_half_a_value_while_other_processes_write(string scheme)
    {
        string address = Serve(scheme);
        await using ITransport transport = OttoTransport.Open(address);
        await using IKeyValueStore store = await transport.Require<IStoreTransport>().OpenStoreAsync("task");
        await store.SetAsync("k", "\"a\""u8.ToArray());
        string each = (Writes / 2).ToString(CultureInfo.InvariantCulture);
        PeerProcess[] writers = [Start("store-rewrite", address, "task", "k", "5000", each),
            Start("store-rewrite", address, "task", "k", "5000", each)];
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
        foreach (PeerProcess writer in writers) writer.Dispose();
        await TestContext.Progress.WriteLineAsync(
            $"{scheme}: {Writes:N0} writes, {reads:N0} reads, {different:N0} different values seen, none by half");
        Assert.That(different, Is.GreaterThan(10), "the reader saw next to nothing of the writing");
    }

    [TestCaseSource(nameof(Transports))]
    public async Task A_writer_killed_at_any_moment_leaves_the_old_or_the_new_value(string scheme)
    {
        string address = Serve(scheme);
        await using ITransport transport = OttoTransport.Open(address);
        await using IKeyValueStore store = await transport.Require<IStoreTransport>().OpenStoreAsync("task");
        await store.SetAsync("other", "1"u8.ToArray());
        var random = new Random(20);
        for (int round = 0; round < 15; round++)
        {
            using PeerProcess writer = Start("store-rewrite", address, "task", "k", "30000", "0");
            writer.WaitFor("first");
            // The moment is the point here, so it is drawn by chance, not waited for.
            long start = Stopwatch.GetTimestamp();
            var moment = TimeSpan.FromMicroseconds(random.Next(5000));
            while (Stopwatch.GetElapsedTime(start) < moment) Thread.SpinWait(10);
            writer.Kill();
            AssertWhole(await store.GetAsync("k"));
            // Whatever was held went with its holder.
            await Watchdog.WaitAsync(store.SetAsync("other", Encoding.UTF8.GetBytes($"{round}")));
            AssertWhole(await store.GetAsync("k"));
        }
    }

    private string Serve(string scheme)
    {
        string path = scheme == "uds" ? Path.Combine(_directory, "otto.sock") : Path.Combine(_directory, scheme);
        if (scheme == "uds") _server = UdsServer.Start(new UdsServerOptions { SocketPath = path });
        return $"{scheme}://{path}";
    }

    private PeerProcess Start(params string[] arguments) => new(_directory, [], arguments);

    private static void AssertWhole(ReadOnlyMemory<byte>? value)
    {
        Assert.That(value, Is.Not.Null);
        ReadOnlySpan<byte> bytes = value!.Value.Span;
        if (bytes.Length < 3 || bytes[0] != '"' || bytes[^1] != '"' || bytes[1..^1].IndexOfAnyExcept(bytes[1]) >= 0)
            Assert.Fail($"half a value: {Encoding.UTF8.GetString(bytes)}");
    }
}
