using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>What stays in a queue has a share and a time, and a full queue says what fills it.</summary>
[Parallelizable]
internal sealed class BudgetTests : RedisTest
{
    private TaskQueueOptions Failing(Action<RedisRouteOptions> configure) =>
        RedisOnly(configure).AddHandler<Job>(Name, static (_, _, _) => throw new IOException("no"), static h => h.Retries = 0);

    private static Task<int> DeadAsync(TaskQueue queue) => queue.Queues[0].Routes[0].Channel.CountAsync(default).AsTask()
        .ContinueWith(static c => c.Result.Dead, TaskScheduler.Default);

    [Test]
    public async Task Dead_letters_keep_to_their_share_and_block_no_producer()
    {
        Action<RedisRouteOptions> small = static o =>
        {
            o.Capacity = 40;
            o.MaxDeadLetters = 10;
        };
        CollectingLogger log = new();
        TaskQueueOptions options = Failing(small);
        options.LoggerFactory = log;
        TaskQueue worker = await StartAsync(options);
        TaskQueue producer = Make(RedisOnly(small).AddProducer<Job>(Name));
        for (int i = 0; i < 100; i++) await producer.EnqueueAsync(new Job(i)).AsTask().Soon();
        await Eventually.Holds(() => worker.GetStatistics()[0].DeadLettered == 100);
        await Eventually.Holds(() => producer.Queues[0].Routes[0].Channel.CountAsync(default).AsTask().Result
            is { Dead: 10, DroppedDeadLetters: 90 });
        await Eventually.Holds(() => log.Lines.Any(static l => l.Contains("dead letters were dropped", StringComparison.Ordinal)));
    }

    [Test]
    public async Task Dead_letters_go_after_their_time()
    {
        TaskQueue worker = await StartAsync(Failing(static o => o.DeadLetterRetention = TimeSpan.FromSeconds(1)));
        await worker.EnqueueAsync(new Job(1), new() { Durability = Durability.Cluster });
        await Eventually.Holds(() => worker.GetStatistics()[0].DeadLettered == 1);
        await Eventually.Holds(() => DeadAsync(worker).Result == 0);
        Assert.That(await Server.AskAsync($"HGET otto:{{{Name}}}:totals dead"), Is.EqualTo("$1"));
    }

    [Test]
    public async Task A_full_queue_says_what_fills_it()
    {
        TaskQueue producer = Make(RedisOnly(static o =>
        {
            o.Capacity = 5;
            o.FullMode = QueueFullMode.Reject;
        }).AddProducer<Job>(Name));
        for (int i = 0; i < 4; i++) await producer.EnqueueAsync(new Job(i), new() { Delay = TimeSpan.FromHours(1) });
        await producer.EnqueueAsync(new Job(4));
        Assert.That(async () => await producer.EnqueueAsync(new Job(5)),
            Throws.TypeOf<QueueFullException>().With.Message.Contains("0 of 5 free: 1 ready, 4 delayed"));
    }
}
