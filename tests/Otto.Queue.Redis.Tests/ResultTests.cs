using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Results between processes, as many as programs ask for: all come, whoever is stopped or killed meanwhile,
/// and nothing of them stays.</summary>
internal sealed class ResultTests : RedisTest
{
    private static readonly int Many =
        Environment.GetEnvironmentVariable("OTTO_LONG_TESTS") is { Length: > 0 } ? 100_000 : 20_000;

    private string Redis => $"redis:{Server.Configuration}";

    private Task<string> KeptAsync() => Server.AskAsync($"HLEN otto:{{{Name}}}:results");

    private async Task NothingIsKeptAsync()
    {
        await Eventually.Holds(() => KeptAsync().Result == ":0");
        Assert.That(await Server.AskAsync($"EXISTS otto:{{{Name}}}:results:due otto:{{{Name}}}:results:claims otto:{{{Name}}}:ids"),
            Is.EqualTo(":0"));
    }

    [Test]
    public async Task Every_result_comes_while_progress_is_reported_and_is_deleted([Values(4, 2000)] int bytes)
    {
        using PeerProcess worker = PeerProcess.Start("answer", Redis, Name, $"{bytes}");
        await worker.SaysAsync("ready");
        using PeerProcess producer = PeerProcess.Start("ask", Redis, Name, $"{Many}");
        await producer.SaysAsync($"came {Many} failed 0");
        await NothingIsKeptAsync();
        await worker.StopAsync();
    }

    [Test]
    public async Task Every_result_comes_to_a_producer_that_was_stopped()
    {
        using PeerProcess worker = PeerProcess.Start("answer", Redis, Name, "100");
        await worker.SaysAsync("ready");
        using PeerProcess producer = PeerProcess.Start("ask", Redis, Name, $"{Many}");
        await Eventually.Holds(() => KeptAsync().Result != ":0");
        producer.Pause();
        await Eventually.Holds(() => Server.AskAsync($"XLEN otto:{{{Name}}}:stream").Result == ":0");
        Assert.That(producer.Said("came"), Is.Zero);
        producer.Resume();
        await producer.SaysAsync($"came {Many} failed 0");
        await worker.StopAsync();
    }

    [Test]
    public async Task Every_result_comes_though_workers_are_killed()
    {
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name, static h => h.Retries = 8));
        await producer.StartAsync();
        PeerProcess worker = PeerProcess.Start("answer", Redis, Name, "100");
        int came = 0;
        try
        {
            IReadOnlyList<TaskReceipt> receipts = await producer.EnqueueManyAsync(
                Enumerable.Range(0, Many).Select(BitConverter.GetBytes), new EnqueueOptions { TrackResult = true });
            Task waiting = Task.WhenAll(receipts.Select(async (receipt, i) =>
            {
                byte[] result = await producer.WaitAsync<byte[]>(receipt);
                if (BitConverter.ToInt32(result) == i) Interlocked.Increment(ref came);
            }));
            for (int kill = 1; kill <= 3; kill++)
            {
                // In the middle of its work.
                int before = Volatile.Read(ref came);
                await Eventually.Holds(() => waiting.IsCompleted || Volatile.Read(ref came) > before);
                worker.Kill();
                worker.Dispose();
                worker = PeerProcess.Start("answer", Redis, Name, "100");
            }

            await waiting.WaitAsync(2 * Eventually.Watchdog);
        }
        finally
        {
            worker.Kill();
            worker.Dispose();
        }

        Assert.That(came, Is.EqualTo(Many));
    }

    [Test]
    public async Task Another_process_collects_the_result_of_a_producer_that_was_killed()
    {
        using PeerProcess producer = PeerProcess.Start("ask", Redis, Name, "1");
        await producer.SaysAsync("asked 1");
        string line = producer.Lines.First(static l => l.StartsWith("asked", StringComparison.Ordinal));
        Assert.That(TaskId.TryParse(line.Split(' ')[2], out TaskId id), Is.True);
        producer.Kill();
        using PeerProcess worker = PeerProcess.Start("answer", Redis, Name, "3");
        TaskQueue other = Make(RedisOnly().AddProducer<byte[]>(Name));
        Assert.That(await other.WaitAsync<byte[]>(Name, id).Soon(), Is.EqualTo(new byte[7]));
        Assert.That(async () => await other.WaitAsync<byte[]>(Name, id).Soon(), Throws.TypeOf<ResultNotFoundException>(),
            "collected once");
        await worker.StopAsync();
    }

    [Test]
    public async Task A_result_that_nobody_collects_is_gone_after_its_time()
    {
        TaskQueue worker = await StartAsync(RedisOnly(static o => o.ResultRetention = TimeSpan.FromSeconds(1))
            .AddHandler<Job, string>(Name, static (job, _, _) => new ValueTask<string>($"{job.Number}")));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        await Eventually.Holds(() => worker.GetStatistics()[0].Completed == 1);
        await NothingIsKeptAsync();
        Assert.That(async () => await producer.WaitAsync<string>(receipt).Soon(), Throws.TypeOf<ResultNotFoundException>());
        Assert.That(await Server.AskAsync($"HGET otto:{{{Name}}}:totals results"), Is.EqualTo("$1"), "counted");
    }

    [Test]
    public async Task A_result_that_is_too_large_is_reported_and_its_task_runs_once()
    {
        int runs = 0;
        await StartAsync(RedisOnly().AddHandler<byte[], byte[]>(Name, (_, _, _) =>
        {
            Interlocked.Increment(ref runs);
            return new ValueTask<byte[]>(new byte[65 << 20]);
        }));
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        TaskReceipt receipt = await producer.EnqueueAsync(new byte[1], new() { TrackResult = true });
        Assert.That(async () => await producer.WaitAsync<byte[]>(receipt).Soon(),
            Throws.TypeOf<TaskFailedException>().With.Message.Contains("its result cannot be kept"));
        Assert.That(runs, Is.EqualTo(1));
    }
}
