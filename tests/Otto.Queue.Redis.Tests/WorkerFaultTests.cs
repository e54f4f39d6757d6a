using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Real worker processes, killed and stopped.</summary>
[Parallelizable]
internal sealed class WorkerFaultTests : RedisTest
{
    private string Redis => $"redis:{Server.Configuration}";

    [Test]
    public async Task The_task_of_a_killed_worker_runs_again_elsewhere_as_attempt_2()
    {
        using PeerProcess victim = PeerProcess.Start("hang", Redis, Name);
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        await producer.EnqueueAsync(BitConverter.GetBytes(7));
        await victim.SaysAsync("started 7 attempt 1");
        using PeerProcess heir = PeerProcess.Start("work", Redis, Name);
        await heir.SaysAsync("ready");

        victim.Kill();

        await heir.SaysAsync("done 7 attempt 2");
        await heir.StopAsync();
        // The handler had ended; whether the server's answer came before the stop is open, that nothing was left is not.
        await heir.SaysAsync("stopped completed");
        Assert.That(heir.Lines, Has.Some.EndsWith(" handed 0 lost 0"));
        Assert.That(await Server.AskAsync($"XLEN otto:{{{Name}}}:stream"), Is.EqualTo(":0"));
    }

    [Test]
    public async Task An_idle_worker_that_was_killed_is_forgotten_by_all_that_names_it()
    {
        using PeerProcess victim = PeerProcess.Start("work", Redis, Name);
        await victim.SaysAsync("ready");
        await Eventually.Holds(() => Server.AskAsync($"SCARD otto:{{{Name}}}:sleepers").Result == ":1"
            && Server.AskAsync($"ZCARD otto:{{{Name}}}:workers").Result == ":1");
        victim.Kill();

        await OpenAsync(); // Takes no work. Its heartbeats are enough.

        foreach (string count in (string[])["SCARD {0}:sleepers", "ZCARD {0}:workers", "HLEN {0}:handlers"])
            await Eventually.Holds(() => Server.AskAsync(string.Format(null, count, $"otto:{{{Name}}}")).Result == ":0");
    }

    [Test]
    public async Task A_recurring_task_that_was_done_forgets_the_worker_that_died_over_it_before()
    {
        using PeerProcess victim = PeerProcess.Start("die", Redis, Name, "1");
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        await producer.EnqueueAsync(BitConverter.GetBytes(7), new() { RepeatInterval = TimeSpan.FromMilliseconds(20) });
        await victim.SaysAsync("started 7 attempt 1");
        victim.Kill();

        using PeerProcess heir = PeerProcess.Start("die", Redis, Name, "1");
        await heir.SaysAsync("done 7 attempt 2");

        await heir.SaysAsync("started 7 attempt 1");
    }

    [Test]
    public async Task Of_a_thousand_tasks_that_each_lose_their_worker_none_is_lost_and_each_runs_once_more()
    {
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        await producer.EnqueueManyAsync(Enumerable.Range(0, 1000).Select(BitConverter.GetBytes));
        Assert.That(await WorkerKiller.RunAsync(Redis, Name, 1000,
            () => Server.AskAsync($"XLEN otto:{{{Name}}}:stream").Result == ":0"), Is.GreaterThan(800));
    }

    [Test]
    public async Task What_a_dead_worker_held_is_taken_over_as_fast_as_the_heir_works_however_few_its_places()
    {
        const int Held = 300;
        using PeerProcess victim = PeerProcess.Start("die", Redis, Name, $"{Held}");
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        await producer.EnqueueManyAsync(Enumerable.Range(0, Held).Select(BitConverter.GetBytes));
        await Eventually.Holds(() => victim.Said("started") == Held);
        victim.Kill();

        TaskQueue heir = await StartAsync(
            RedisOnly(static o => o.LeaseTime = TimeSpan.FromSeconds(1.5)).AddHandler<byte[]>(Name, static (_, _, _) => default,
                static h => h.Concurrency = 1));

        // One each heartbeat of half a second would take two and a half minutes.
        await Eventually.Holds(() => heir.GetStatistics()[0].Completed >= Held);
    }

    // Leases of a second and a half, and a pause just longer; with OTTO_LONG_TESTS also one of half a minute.
    private static readonly int[] Pauses = Environment.GetEnvironmentVariable("OTTO_LONG_TESTS") is { Length: > 0 } ? [0, 30] : [0];

    [TestCaseSource(nameof(Pauses))]
    public async Task A_paused_worker_loses_its_task_and_its_late_completion_counts_for_nothing(int atLeastSeconds)
    {
        using PeerProcess paused = PeerProcess.Start("slow", Redis, Name, "3000");
        await paused.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        await producer.EnqueueAsync(BitConverter.GetBytes(3));
        await paused.SaysAsync("started 3 attempt 1");
        paused.Pause();
        using PeerProcess heir = PeerProcess.Start("slow", Redis, Name, atLeastSeconds == 0 ? "10000" : $"{(atLeastSeconds + 5) * 1000}");
        await heir.SaysAsync("started 3 attempt 2");
        await Task.Delay(TimeSpan.FromSeconds(atLeastSeconds)); // The length of the pause is what is tested.

        paused.Resume();
        await paused.SaysAsync("done 3 attempt 1");
        await paused.StopAsync();

        // Had the late completion counted, the heir's would find nothing.
        Assert.That((await Counts(producer)).Leased, Is.EqualTo(1));
        await heir.SaysAsync("done 3 attempt 2");
        await heir.StopAsync();
        Assert.That((await Counts(producer)).Leased, Is.Zero);
        Assert.That(await Server.AskAsync($"XLEN otto:{{{Name}}}:stream"), Is.EqualTo(":0"));
    }

    [Test]
    public async Task A_dead_worker_is_known_to_be_gone()
    {
        using PeerProcess victim = PeerProcess.Start("work", Redis, Name);
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        await producer.EnqueueAsync(BitConverter.GetBytes(1));
        await Eventually.Holds(() => producer.Queues[0].Routes[0].Channel.OtherWorkers == 1);
        victim.Kill();
        await Eventually.Holds(() => producer.Queues[0].Routes[0].Channel.OtherWorkers == 0);
    }

    private static async Task<Otto.Ipc.WorkQueueCounts> Counts(TaskQueue queue) =>
        await queue.Queues[0].Routes[0].Channel.CountAsync(default);
}
