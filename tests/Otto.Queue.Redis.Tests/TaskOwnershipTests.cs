using System.Collections.Concurrent;
using Otto.Ipc;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>What was claimed and not begun, what the dead left behind, and what others wrote.</summary>
[Parallelizable]
internal sealed class TaskOwnershipTests : RedisTest
{
    private string Key(string what) => $"otto:{{{Name}}}:{what}";

    [Test]
    public async Task What_a_dead_worker_left_is_taken_over_by_one_that_is_never_idle()
    {
        int others = 0;
        TaskCompletionSource<int> ghosts = new();
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        await producer.EnqueueAsync(new Job(-1));
        await Server.AskAsync($"XGROUP CREATE {Key("stream")} workers 0");
        await Server.AskAsync($"XREADGROUP GROUP workers ghost COUNT 1 STREAMS {Key("stream")} >"); // Read, and never heard of again.
        await producer.EnqueueManyAsync(Enumerable.Range(0, 500).Select(static i => new Job(i)));

        await StartAsync(RedisOnly().AddHandler<Job>(Name, async (job, context, _) =>
        {
            await Task.Delay(20, CancellationToken.None);
            if (job.Number < 0) ghosts.TrySetResult(context.Attempt);
            else Interlocked.Increment(ref others);
        }, static h => h.Concurrency = 1));

        Assert.That(await ghosts.Task.Soon(), Is.EqualTo(2));
        Assert.That(Volatile.Read(ref others), Is.LessThan(450), "not only when there was nothing else to do");
    }

    [Test]
    public async Task Order_holds_although_one_task_takes_longer_than_a_lease()
    {
        ConcurrentQueue<int> done = new();
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        await producer.EnqueueManyAsync(Enumerable.Range(0, 600).Select(static i => new Job(i)));
        await StartAsync(RedisOnly(static o => o.LeaseTime = TimeSpan.FromSeconds(9)).AddHandler<Job>(Name, async (job, _, _) =>
        {
            // By then many have ended quickly, and the next are at hand.
            if (job.Number == 300) await Task.Delay(TimeSpan.FromSeconds(10), CancellationToken.None);
            done.Enqueue(job.Number);
        }, static h => h.Concurrency = 1));
        await Eventually.Holds(() => done.Count >= 600);
        Assert.That(done, Is.EqualTo(Enumerable.Range(0, 600)));
    }

    [Test]
    public async Task A_task_that_is_cancelled_while_it_waits_behind_another_in_a_workers_hand_is_not_run()
    {
        TaskCompletionSource reached = new(), finish = new();
        ConcurrentQueue<int> done = new();
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        IReadOnlyList<TaskReceipt> receipts = await producer.EnqueueManyAsync(Enumerable.Range(0, 600).Select(static i => new Job(i)));
        TaskQueue worker = await StartAsync(RedisOnly().AddHandler<Job>(Name, async (job, _, _) =>
        {
            if (job.Number == 300)
            {
                reached.TrySetResult();
                await finish.Task;
            }

            done.Enqueue(job.Number);
        }, static h => h.Concurrency = 1));
        await reached.Task.Soon();
        List<int> told = [];
        for (int i = 301; i < 600; i++)
            if (await producer.CancelAsync(receipts[i]) != CancelOutcome.NotFound) told.Add(i);
        finish.SetResult();
        await Eventually.Holds(
            () => worker.GetStatistics()[0] is var n && n.Completed + n.Cancelled >= 301
            && worker.Queues[0].Routes[0].Channel.CountAsync(default).AsTask().Result is { Ready: 0, Leased: 0 });
        Assert.That(told, Has.Count.EqualTo(299));
        Assert.That(done, Is.EqualTo(Enumerable.Range(0, 301)), "whatever was held already was passed over");
    }

    [Test]
    public async Task A_stale_worker_that_fails_reports_nothing_about_a_task_that_another_worker_has()
    {
        TaskCompletionSource started = new(), told = new();
        // Of a lease so long that this worker does not take it back from the ghost for being late.
        TaskQueue worker = await StartAsync(
            RedisOnly(static o => o.LeaseTime = TimeSpan.FromSeconds(6)).AddHandler<Job>(Name, async (_, _, cancellationToken) =>
        {
            started.TrySetResult();
            await using CancellationTokenRegistration registration = cancellationToken.Register(told.SetResult);
            await told.Task;
            throw new IOException("too late");
        }, static h => { h.Concurrency = 1; h.Retries = 0; }));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        await started.Task.Soon();
        string entry = (await Server.AskAsync(
            $"EVAL \"return redis.status_reply(redis.call('XRANGE', KEYS[1], '-', '+')[1][1])\" 1 {Key("stream")}"))[1..];
        await Server.AskAsync($"XCLAIM {Key("stream")} workers ghost 0 {entry}"); // Another worker has it now.

        await told.Task.Soon();
        await worker.StopAsync();

        QueueStatistics numbers = worker.GetStatistics()[0];
        Assert.That((numbers.Failed, numbers.Lost, numbers.DeadLettered), Is.EqualTo((1, 0, 0)));
        Assert.That(await Server.AskAsync($"EXISTS {Key($"result:{receipt.Id}")}"), Is.EqualTo(":0"),
            "its producer hears of the one who has it");
    }

    [Test]
    public async Task What_others_wrote_into_the_delayed_and_the_dead_harms_only_itself()
    {
        TaskQueue queue = await StartAsync(RedisOnly().AddHandler<Job>(Name, static (_, _, _) => default));
        await Server.AskAsync($"ZADD {Key("delayed")} 1 garbage 2 9:9 3 5:99:x 4 99999999999999999999:1:km");
        await Server.AskAsync($"XADD {Key("stream")} * m garbage a many k stolen");
        await Server.AskAsync($"XADD {Key("stream")} * nothing known");
        await Server.AskAsync($"XADD {Key("dead")} * a many r why");
        await queue.EnqueueAsync(new Job(1), new() { Durability = Durability.Cluster });
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
        await Eventually.Holds(() => queue.DeadLetters.ListAsync().AsTask().Result.Count == 7);
        await Server.AskAsync($"XADD {Key("dead")} 99999999999999-99999999999 m x a 1 r an-id-that-no-server-gives");
        foreach (DeadLetteredTask dead in await queue.DeadLetters.ListAsync())
            Assert.That(await queue.DeadLetters.DeleteAsync(dead), Is.True, dead.Reason);
        Assert.That(await queue.DeadLetters.ListAsync(), Is.Empty);
    }
}
