using System.Diagnostics;
using System.Text.Json;
using Otto.Queue;
using Otto.Queue.Redis;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Tools.Tests;

// otto top beside programs that work: in shared memory, over a real redis-server, and with scripts that tell the server of sockets.

internal sealed class TopToolTests : ToolTest
{
    [SetUp]
    public void MakePrivate() => File.SetUnixFileMode(Folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);

    [Test]
    public async Task Depth_rates_workers_and_progress_are_seen_in_shared_memory() => await WatchAsync("SharedMemory", static o => o, []);

    [Test]
    public async Task And_on_a_server()
    {
        using RedisServer server = await RedisServer.StartAsync();
        await WatchAsync("Redis", o => o.UseRedis(server.Configuration).UseSharedMemory(static m => m.Enabled = false),
            ["--redis", server.Configuration]);
    }

    [Test]
    public async Task And_on_a_server_with_a_prefix()
    {
        using RedisServer server = await RedisServer.StartAsync();
        await WatchAsync("Redis",
            o => o.UseRedis(server.Configuration, static r => r.Prefix = "mine").UseSharedMemory(static m => m.Enabled = false),
            ["--redis", server.Configuration, "--prefix", "mine"]);
    }

    private async Task WatchAsync(string route, Func<TaskQueueOptions, TaskQueueOptions> over, string[] place)
    {
        TaskCompletionSource go = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TaskQueue worker =
            new(over(new TaskQueueOptions { DrainTimeout = TimeSpan.Zero }.UseSharedMemory(o => o.Directory = Folder)).AddHandler<string>(
                "slow", async (text, context, cancellationToken) =>
        {
            while (!go.Task.IsCompleted)
            {
                context.ReportProgress(3, 10, text);
                await Task.WhenAny(go.Task, Task.Delay(50, cancellationToken));
            }
        }, static h => h.Concurrency = 1));
        await worker.StartAsync();
        await using TaskQueue producer =
            new(over(new TaskQueueOptions().UseSharedMemory(o => o.Directory = Folder)).AddProducer<string>("slow"));
        for (int i = 0; i < 3; i++) await producer.EnqueueAsync($"[part {i}]");

        using Process top = Start("otto", ["top", "--dir", Folder, "--socket", $"{Folder}/none", "--interval", "0.1", "--json", .. place]);
        JsonElement busy = await UntilAsync(top,
            look => Queue(look).TryGetProperty("leased", out JsonElement leased) && leased.GetInt32() == 1
            && look.GetProperty("progress").GetArrayLength() == 1);
        JsonElement queue = Queue(busy), progress = busy.GetProperty("progress")[0];
        Assert.That((queue.GetProperty("route").GetString(), queue.GetProperty("ready").GetInt32(), queue.GetProperty("workers")
            .GetInt32()), Is.EqualTo((route, 2, 1)));
        Assert.That(queue.GetProperty("oldestSeconds").GetDouble(), Is.GreaterThan(0));
        Assert.That((progress.GetProperty("queue").GetString(), progress.GetProperty("done").GetDouble(), progress.GetProperty("total")
            .GetDouble(), progress.GetProperty("text").GetString()), Is.EqualTo(("slow", 3.0, 10.0, "[part 0]")));
        Result table = Run("otto",
            ["top", "slow", "--dir", Folder, "--socket", $"{Folder}/none", "--interval", "0.2", "--count", "12", .. place]);
        Assert.That(table.Output,
            Does.Contain("slow").And.Not.Contain("\u001b").And.Contain(route).And.Contain("[part 0]").And.Contain("3 of 10 (30 %)"),
            table.ToString());

        go.SetResult();
        JsonElement moving =
            await UntilAsync(top, static look => Queue(look).TryGetProperty("leftPerSecond", out JsonElement left) && left.GetDouble() > 0);
        Assert.That(Queue(moving).GetProperty("enteredPerSecond").GetDouble(), Is.Zero);
        Process.Start("kill", ["-INT", $"{top.Id}"]).WaitForExit();
        await top.StandardOutput.ReadToEndAsync().Soon();
        await top.WaitForExitAsync().Soon();
        Assert.That((top.ExitCode, await top.StandardError.ReadToEndAsync()), Is.EqualTo((0, "")));
    }

    private static JsonElement Queue(JsonElement look) =>
        look.GetProperty("queues").EnumerateArray().FirstOrDefault(
            static q => q.GetProperty("queue").GetString() == "slow") is { ValueKind: JsonValueKind.Object } found ? found : look;

    private static async Task<JsonElement> UntilAsync(Process top, Func<JsonElement, bool> holds)
    {
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < Eventually.Watchdog;)
        {
            JsonElement look = JsonDocument.Parse((await top.StandardOutput.ReadLineAsync().Soon())!).RootElement;
            if (holds(look)) return look;
        }

        throw new TimeoutException($"not seen within {Eventually.Watchdog.TotalSeconds} s");
    }

    [Test]
    public async Task What_scripts_report_to_the_socket_server_is_seen_too()
    {
        string socket = Path.Combine(Folder, "s");
        using Process server = Start("otto", "serve", "--socket", socket);
        await server.StandardOutput.ReadLineAsync().WaitAsync(TimeSpan.FromSeconds(60));
        Run("otto-progress", ["--socket", socket, "--task", "build", "1", "4", "compiling"]);
        // A look that took longer than its second shows nothing; the next one does.
        JsonElement look = Run("otto", ["top", "--dir", Folder, "--socket", socket, "--count", "10", "--interval", "0.2", "--json"]).Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(static line => JsonDocument.Parse(line).RootElement).First(
                static l => l.GetProperty("progress").GetArrayLength() > 0);
        JsonElement progress = look.GetProperty("progress").EnumerateArray().Single();
        Assert.That((progress.GetProperty("task").GetString(), progress.GetProperty("route").GetString(), progress.GetProperty("total")
            .GetDouble(), progress.GetProperty("text").GetString()), Is.EqualTo(("build", "Socket", 4.0, "compiling")));
        server.Kill();
        await server.WaitForExitAsync();
    }

    [Test]
    public void Nothing_to_see_is_no_error_and_makes_nothing()
    {
        Result none = Run("otto", ["top", "--dir", Folder, "--socket", $"{Folder}/none", "--count", "1"]);
        Assert.That((none.Code, none.Errors), Is.EqualTo((0, "")));
        Assert.That(none.Output, Does.Contain("no queues"));
        Assert.That(Directory.GetFileSystemEntries(Folder), Is.Empty);
        Result lost = Run("otto",
            ["top", "--dir", Folder, "--socket", $"{Folder}/none", "--count", "1", "--json", "--redis", "127.0.0.1:1,connectTimeout=300"]);
        Assert.That(lost.Output, Does.Contain("127.0.0.1:1"), lost.ToString());
        Assert.That(Run("otto", ["top", "--interval", "0"]).Code, Is.EqualTo(2));
    }
}
