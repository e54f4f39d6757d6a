using System.Collections.Concurrent;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>A server whose memory is full takes no more tasks. What it holds is worked off as always.</summary>
[Parallelizable]
internal sealed class FullServerTests : RedisTest
{
    private RedisServer? _own;

    protected override async Task<RedisServer> GetServerAsync() => _own = await RedisServer.StartAsync(persistent: true);

    [TearDown]
    public void StopServer() => _own?.Dispose();

    [Test]
    public async Task Leases_are_renewed_and_results_arrive_while_the_memory_is_full()
    {
        const int Tasks = 8;
        TaskCompletionSource go = new(), later = new();
        ConcurrentBag<int> begun = [];
        TaskQueue Worker() => Make(RedisOnly().AddHandler<Job, int>(Name, async (job, _, cancellationToken) =>
        {
            if (job.Number == Tasks) later.TrySetResult();
            else begun.Add(job.Number);
            if (job.Number < Tasks) await go.Task;
            return job.Number;
        }, static h => h.Concurrency = Tasks));
        TaskQueue one = Worker(), producer = Make(RedisOnly().AddProducer<Job>(Name));
        await one.StartAsync();
        List<TaskReceipt> receipts = [];
        for (int i = 0; i < Tasks; i++) receipts.Add(await producer.EnqueueAsync(new Job(i), new() { TrackResult = true }));
        await Eventually.Holds(() => begun.Count == Tasks);
        // Due when leases that nobody renews have long ended.
        receipts.Add(await producer.EnqueueAsync(new Job(Tasks), new() { TrackResult = true, Delay = TimeSpan.FromSeconds(5) }));
        await Server.AskAsync("CONFIG SET maxmemory 1");
        await Worker().StartAsync();

        await later.Task.Soon();

        Assert.That(begun, Has.Count.EqualTo(Tasks), "a task ran twice while its worker lived");
        go.SetResult();
        foreach ((int number, TaskReceipt receipt) in receipts.Index())
            Assert.That(await producer.WaitAsync<int>(receipt).Soon(), Is.EqualTo(number));
        Assert.That(begun, Has.Count.EqualTo(Tasks));
    }

    [Test]
    public async Task Tasks_are_retried_given_up_repeated_and_cancelled_while_the_memory_is_full()
    {
        ConcurrentQueue<(int Number, int Attempt)> begun = new();
        TaskCompletionSource go = new(), never = new();
        TaskQueue worker = await StartAsync(RedisOnly().AddHandler<Job>(Name, async (job, context, cancellationToken) =>
        {
            if (job.Number < 3) await go.Task;
            begun.Enqueue((job.Number, context.Attempt));
            if (job.Number == 0 && context.Attempt == 1) throw new InvalidOperationException("once");
            if (job.Number == 1) throw new TaskRejectedException("never");
            if (job.Number == 2) await never.Task.WaitAsync(cancellationToken);
        }, static h => { h.Concurrency = 4; h.FirstDelay = TimeSpan.FromMilliseconds(10); }));
        TaskQueue producer = Make(RedisOnly(static o => o.FullMode = QueueFullMode.Reject).AddProducer<Job>(Name));
        TaskReceipt[] receipts = new TaskReceipt[4];
        for (int i = 0; i < 3; i++) receipts[i] = await producer.EnqueueAsync(new Job(i));
        receipts[3] = await producer.EnqueueAsync(new Job(3),
            new() { UniqueKey = "clock", RepeatInterval = TimeSpan.FromMilliseconds(50) });
        TaskReceipt delayed = await producer.EnqueueAsync(new Job(4), new() { Delay = TimeSpan.FromHours(1) });
        await Eventually.Holds(() => worker.GetStatistics()[0].Waiting >= 0 && begun.Any(static b => b.Number == 3));
        await Server.AskAsync("CONFIG SET maxmemory 1");
        int ticks = begun.Count(static b => b.Number == 3);
        go.SetResult();

        await Eventually.Holds(() => begun.Contains((0, 2)));
        await Eventually.Holds(() => begun.Contains((2, 1)));
        await Eventually.Holds(() => begun.Count(static b => b.Number == 3) > ticks + 5);
        await Eventually.Holds(() => producer.DeadLetters.ListAsync(Name, 10).AsTask().Result.Count == 1);
        Assert.That(await producer.CancelAsync(delayed), Is.EqualTo(CancelOutcome.Removed));
        Assert.That(await producer.CancelAsync(receipts[2]), Is.EqualTo(CancelOutcome.Requested));
        await Eventually.Holds(() => worker.GetStatistics()[0].Cancelled == 1);
        Assert.That(async () => await producer.EnqueueAsync(new Job(5)), Throws.TypeOf<QueueFullException>());
    }
}
