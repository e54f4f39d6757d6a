using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Nobody starves: local work does not keep Redis waiting, nor the reverse.</summary>
internal sealed class FairnessTests : RedisTest
{
    [Test]
    public async Task With_the_queue_here_always_full_tasks_in_redis_get_their_share()
    {
        const int Far = 300;
        int best = int.MaxValue;
        // The best of some rounds: a machine that is busy with other things makes round trips long, and starving would show in each.
        for (int round = 0; round < 5 && best > Far * 5; round++) best = Math.Min(best, await NearTasksBesideAsync(Far, $"{Name}-{round}"));

        // By weight it would be one to one; a round trip takes longer than sixteen such tasks, on a busy
        // machine some times that. Who starves waits for ever.
        TestContext.Out.WriteLine($"{Far} tasks from Redis beside {best} from here");
        Assert.That(best, Is.LessThan(Far * 60));
    }

    private async Task<int> NearTasksBesideAsync(int farTasks, string name)
    {
        int near = 0, far = 0, nearAtTheEnd = 0;
        TaskQueue worker = Make(RedisOnly().UseInProcess(static o => { o.Capacity = 256; o.FullMode = QueueFullMode.Wait;
        }).AddHandler<Job>(name, (job, _, _) =>
        {
            Thread.SpinWait(2000);
            if (job.Number == 0) Interlocked.Increment(ref near);
            else if (Interlocked.Increment(ref far) == farTasks) nearAtTheEnd = Volatile.Read(ref near);
            return default;
        }, static h => h.Concurrency = 2));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(name));
        await producer.EnqueueManyAsync(Enumerable.Repeat(new Job(1), farTasks));
        using CancellationTokenSource stop = new();
        await worker.StartAsync();
        Task filling = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested) await worker.EnqueueAsync(new Job(0));
        });
        await Eventually.Holds(() => Volatile.Read(ref far) == farTasks);
        await stop.CancelAsync();
        await filling;
        await worker.StopAsync();
        return nearAtTheEnd;
    }
}
