using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Real worker processes, killed and stopped.</summary>
internal sealed class WorkerFaultTests : RedisTest
{
    private string Redis => $"redis:{Server.Configuration}";

    [Test]
    public async Task The_task_of_a_killed_worker_runs_again_elsewhere_as_attempt_2()
    {
        using PeerProcess victim = PeerProcess.Start("hang", Redis, Name);
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().Send<byte[]>(Name));
        await producer.EnqueueAsync(BitConverter.GetBytes(7));
        await victim.SaysAsync("started 7 attempt 1");
        using PeerProcess heir = PeerProcess.Start("work", Redis, Name);
        await heir.SaysAsync("ready");

        victim.Kill();

        await heir.SaysAsync("done 7 attempt 2");
        await heir.StopAsync();
        await heir.SaysAsync("stopped completed 0");
    }

    [Test]
    public async Task A_paused_worker_loses_its_task_and_its_late_completion_counts_for_nothing()
    {
        using PeerProcess paused = PeerProcess.Start("slow", Redis, Name, "500");
        await paused.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().Send<byte[]>(Name));
        await producer.EnqueueAsync(BitConverter.GetBytes(3));
        await paused.SaysAsync("started 3 attempt 1");
        paused.Pause();
        using PeerProcess heir = PeerProcess.Start("slow", Redis, Name, "3000");
        await heir.SaysAsync("started 3 attempt 2");

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
        TaskQueue producer = Make(RedisOnly().Send<byte[]>(Name));
        await producer.EnqueueAsync(BitConverter.GetBytes(1));
        await Eventually.Holds(() => producer.Lanes[0].Routes[0].Channel.OtherWorkers == 1);
        victim.Kill();
        await Eventually.Holds(() => producer.Lanes[0].Routes[0].Channel.OtherWorkers == 0);
    }

    private static async Task<Otto.Ipc.WorkQueueCounts> Counts(TaskQueue queue) => await queue.Lanes[0].Routes[0].Channel.CountAsync(default);
}
