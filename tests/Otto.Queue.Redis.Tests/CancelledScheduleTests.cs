using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>A recurring task that is cancelled or replaced while a worker runs it that dies.</summary>
[Parallelizable]
internal sealed class CancelledScheduleTests : RedisTest
{
    private string Redis => $"redis:{Server.Configuration}";

    private static readonly EnqueueOptions Every = new() { RepeatInterval = TimeSpan.FromMilliseconds(20), UniqueKey = "k" };

    [Test]
    public async Task A_cancel_outlives_the_worker_that_was_running_the_task()
    {
        using PeerProcess victim = PeerProcess.Start("hang", Redis, Name);
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        TaskReceipt receipt = await producer.EnqueueAsync(BitConverter.GetBytes(7), Every);
        await victim.SaysAsync("started 7 attempt 1");
        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Requested));
        victim.Kill();

        using PeerProcess heir = PeerProcess.Start("work", Redis, Name);
        await heir.SaysAsync("ready");
        await Eventually.Holds(() => producer.CancelAsync(receipt).AsTask().Result == CancelOutcome.NotFound);
        await producer.EnqueueAsync(BitConverter.GetBytes(8), new() { UniqueKey = "k" });
        await heir.SaysAsync("done 8 attempt 1");
        Assert.That(heir.Said("done 7"), Is.Zero);
        await heir.StopAsync();
    }

    [Test]
    public async Task A_replacement_outlives_the_worker_that_was_running_the_old_schedule()
    {
        using PeerProcess victim = PeerProcess.Start("hang", Redis, Name);
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        await producer.EnqueueAsync(BitConverter.GetBytes(7), Every);
        await victim.SaysAsync("started 7 attempt 1");
        Assert.That((await producer.EnqueueAsync(BitConverter.GetBytes(8), Every)).Outcome, Is.EqualTo(EnqueueOutcome.Replaced));
        victim.Kill();

        using PeerProcess heir = PeerProcess.Start("work", Redis, Name);
        await heir.SaysAsync("done 8 attempt 1");
        await heir.SaysAsync("done 8 attempt 1", 3);
        Assert.That(heir.Said("done 7"), Is.Zero);
        await heir.StopAsync();
    }
}
