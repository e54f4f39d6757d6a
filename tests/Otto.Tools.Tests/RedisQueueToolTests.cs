using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Otto.Queue.Redis.Tests.Support;

namespace Otto.Tools.Tests;

// otto queue over a real redis-server, as a shell on another machine would use it.

internal sealed class RedisQueueToolTests : ToolTest
{
    private RedisServer _server = null!;

    [OneTimeSetUp]
    public async Task StartServer() => _server = await RedisServer.StartAsync();

    [OneTimeTearDown]
    public void StopServer() => _server?.Dispose();

    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    private Result Queue(params string[] arguments) =>
        Run("otto", ["queue", arguments[0], "--dir", Folder, "--redis", _server.Configuration, .. arguments[1..]]);

    private static JsonElement[] Lines(Result result) =>
        [.. result.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static l => JsonDocument.Parse(l).RootElement)];

    [Test]
    public void Tasks_sent_to_the_server_are_worked_on_listed_and_requeued()
    {
        JsonElement sent = Lines(Queue("send", "far", "good", "--json")).Single();
        Assert.That((sent.GetProperty("route").GetString(), sent.GetProperty("reason").GetString()),
            Is.EqualTo(("Redis", "no worker is known on this machine: Redis keeps it")));
        Queue("send", "far", "bad");
        JsonElement[] stat = Lines(Queue("stat", "far", "--json"));
        Assert.That(stat.Select(static s => (s.GetProperty("route").GetString(), s.GetProperty("ready").GetInt32())),
            Is.EqualTo(new[] { ("SharedMemory", 0), ("Redis", 2) }));

        Result worked = Queue("work", "far", "--count", "2", "--retry", "0", "--json", "--", "sh", "-c",
            "read x; echo said $x; test $x = good");

        Assert.That(worked.Code, Is.EqualTo(1), worked.ToString());
        Assert.That(worked.Errors, Does.Contain("said good\n").And.Contain("said bad\n"));
        JsonElement[] attempts = Lines(worked);
        Assert.That(attempts.Select(
            static a => (a.GetProperty("done").GetBoolean(), a.GetProperty("attempt").GetInt32(), a.GetProperty("route").GetString())),
            Is.EqualTo(new[] { (true, 1, "Redis"), (false, 1, "Redis") }));
        Assert.That(attempts[0].GetProperty("id").GetString(), Is.EqualTo(sent.GetProperty("id").GetString()));
        Assert.That(attempts[1].GetProperty("error").GetString(), Does.Contain("code 1"));
        JsonElement dead = Lines(Queue("dead", "far", "--json")).Single();
        Assert.That(dead.GetProperty("route").GetString(), Is.EqualTo("Redis"));
        JsonElement moved = Lines(Queue("requeue", "far", dead.GetProperty("id").GetString()!, "--json")).Single();
        Assert.That((moved.GetProperty("tasks").GetInt32(), moved.GetProperty("unknown").GetArrayLength()), Is.EqualTo((1, 0)));
        Assert.That(Queue("work", "far", "--count", "1", "--", "cat").Output, Is.EqualTo("bad"));
    }

    [Test]
    public async Task Route_says_why_a_task_would_leave_the_machine()
    {
        Assert.That(Queue("route", "ways", "--durability", "cluster").Output, Does.StartWith("Redis: "));
        // The worker sees the server only, as one on another machine would.
        string elsewhere = Directory.CreateDirectory(Path.Combine(Folder, "elsewhere")).FullName;
        File.SetUnixFileMode(elsewhere, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        using Process worker = Start("otto", "queue", "work", "ways", "--dir", elsewhere, "--redis", _server.Configuration, "--", "cat");
        string route = "";
        for (long start = Stopwatch.GetTimestamp(); !route.StartsWith("Redis: worker known on this route", StringComparison.Ordinal)
            && Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(60);) route = Queue("route", "ways").Output;
        Assert.That(route, Does.StartWith("Redis: worker known on this route").And.Contain("Redis: 0 ready").And.Contain("1 worker\n"));
        Process.Start("kill", ["-INT", $"{worker.Id}"]).WaitForExit();
        Task<string> output = worker.StandardOutput.ReadToEndAsync(), errors = worker.StandardError.ReadToEndAsync();
        await worker.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.That((worker.ExitCode, await output), Is.EqualTo((0, "")), await errors);
    }

    [TestCase("{0},password=wrong")]
    [TestCase("127.0.0.1:1,connectTimeout=300")]
    public async Task A_worker_reports_what_it_waits_for_if_a_server_cannot_be_used(string server)
    {
        using Process worker =
            Start("otto", "queue", "work", "far", "--dir", Folder, "--redis",
                string.Format(CultureInfo.InvariantCulture, server, $"127.0.0.1:{_server.Port}"), "--", "cat");
        Assert.That(await worker.StandardError.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60)),
            Does.StartWith("otto: ").And.Contain("127.0.0.1:").And.EndWith("; waiting for it"));
        Process.Start("kill", ["-INT", $"{worker.Id}"]).WaitForExit();
        Task<string> errors = worker.StandardError.ReadToEndAsync();
        await worker.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Assert.That(worker.ExitCode, Is.Zero, await errors);
    }

    [Test]
    public void A_server_that_is_not_there_is_code_3_and_a_full_queue_ends_in_time()
    {
        Result lost = Run("otto",
            ["queue", "send", "jobs", "x", "--dir", Folder, "--redis", "127.0.0.1:1,connectTimeout=300", "--route", "redis"]);
        Assert.That(lost.Code, Is.EqualTo(3), lost.ToString());
        Assert.That(lost.Errors, Does.Contain("127.0.0.1:1"));
        Result stat = Run("otto", ["queue", "stat", "jobs", "--dir", Folder, "--redis", "127.0.0.1:1,connectTimeout=300"]);
        Assert.That(stat.Code, Is.EqualTo(3), stat.ToString());
        Result full = Bash($"seq 2000 | otto queue send full --dir {Folder} --timeout 0.5");
        Assert.That(full.Code, Is.EqualTo(124), full.ToString());
        Assert.That(full.Errors, Does.Contain("no route had room within 0.5 s"));
    }

    [Test]
    public void Stat_tells_what_the_server_may_cost()
    {
        JsonElement stat = Lines(Queue("stat", "costs", "--json")).Single(static l => l.GetProperty("route").GetString() == "Redis");
        JsonElement warning = stat.GetProperty("warnings").EnumerateArray().Single();
        Assert.That(warning.GetProperty("code").GetString(), Is.EqualTo("persistence"));
        Assert.That(Queue("stat", "costs").Output, Does.Contain($"\n  warning (persistence): {warning.GetProperty("text").GetString()}\n"));
    }

    [Test]
    public void A_prefix_shows_and_works_on_its_own_queues_only()
    {
        Assert.That(Queue("send", "apart", "mine", "--prefix", "mine").Code, Is.Zero);
        Assert.That(Ready("--prefix", "mine"), Is.EqualTo(1));
        Assert.That(Ready(), Is.Zero);
        Assert.That(Queue("work", "apart", "--prefix", "mine", "--count", "1", "--", "cat").Output, Is.EqualTo("mine"));
        Result wrong = Queue("stat", "apart", "--prefix", "a*");
        Assert.That((wrong.Code, wrong.Errors), Is.EqualTo((2, wrong.Errors)));
        Assert.That(wrong.Errors, Does.Contain("Redis.Prefix must be 1 to 64"));

        int Ready(params string[] more) => Lines(Queue(["stat", "apart", "--json", .. more])).Single(
            static l => l.GetProperty("route").GetString() == "Redis").GetProperty("ready").GetInt32();
    }
}
