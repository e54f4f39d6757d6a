using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>The task queue with Redis as one of its routes.</summary>
internal sealed class QueueOverRedisTests : RedisTest
{
    private static ValueTask Done(Job job, TaskContext context, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    [Test]
    public async Task Without_a_worker_on_this_machine_a_task_goes_to_redis_and_a_worker_there_runs_it()
    {
        TaskQueue producer = Make(AllRoutes().AddProducer<Job>(Name));
        TaskReceipt kept = await producer.EnqueueAsync(new Job(1));
        Assert.That((kept.Route, kept.Reason), Is.EqualTo((RouteName.Redis, "no worker is known on this machine: Redis keeps it")));

        TaskQueue worker = await StartAsync(RedisOnly().AddHandler<Job>(Name, Done));
        await Eventually.Holds(() => worker.GetStatistics()[0].Completed == 1);
        await Eventually.Holds(() => producer.EnqueueAsync(new Job(2)).AsTask().Result.Reason == RouteReason.WorkerElsewhere);
    }

    [Test]
    public async Task A_program_that_blocks_after_an_await_blocks_no_other()
    {
        using ManualResetEventSlim done = new();
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        TaskQueue worker = Make(RedisOnly().AddHandler<Job>(Name, (_, _, _) =>
        {
            done.Set();
            return default;
        }));
        await producer.EnqueueAsync(new Job(1));
        bool came = await Task.Run(async () =>
        {
            await worker.StartAsync().ConfigureAwait(false);
            return done.Wait(Eventually.Watchdog); // As a Main that reads from a console would.
        });
        Assert.That(came, Is.True);
    }

    [Test]
    public async Task Each_task_takes_the_nearest_way_that_there_is_when_it_is_enqueued()
    {
        TaskQueue far = await StartAsync(RedisOnly().AddHandler<Job>(Name, Done));
        TaskQueue producer = Make(AllRoutes().AddProducer<Job>(Name));
        await Eventually.Holds(() => producer.EnqueueAsync(new Job(0)).AsTask().Result.Reason == RouteReason.WorkerElsewhere);

        TaskQueue near = await StartAsync(AllRoutes().AddHandler<Job>(Name, Done));
        Assert.That((await producer.EnqueueAsync(new Job(1))).Route, Is.EqualTo(RouteName.SharedMemory));
        Assert.That((await near.EnqueueAsync(new Job(2))).Route, Is.EqualTo(RouteName.InProcess));
        await near.StopAsync();
        Assert.That((await producer.EnqueueAsync(new Job(3))).Route, Is.EqualTo(RouteName.Redis));
        await far.StopAsync();
    }

    [Test]
    public async Task A_cluster_task_goes_to_redis_although_a_worker_is_here()
    {
        TaskQueue queue = await StartAsync(AllRoutes().AddHandler<Job>(Name, Done));
        TaskReceipt receipt = await queue.EnqueueAsync(new Job(1), new() { Durability = Durability.Cluster });
        Assert.That((receipt.Route, receipt.Reason), Is.EqualTo((RouteName.Redis, RouteReason.Durable)));
        TaskReceipt process = await queue.EnqueueAsync(new Job(1), new() { Durability = Durability.Process });
        Assert.That((process.Route, process.Reason), Is.EqualTo((RouteName.InProcess, RouteReason.Kept)));
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 2);
    }

    [Test]
    public async Task A_retry_of_a_cluster_task_stays_in_redis_and_its_dead_letter_too()
    {
        List<(int, RouteName)> attempts = [];
        TaskQueue queue = await StartAsync(AllRoutes().AddHandler<Job>(Name, (_, context, _) =>
        {
            lock (attempts) attempts.Add((context.Attempt, context.Route));
            throw new IOException("no");
        }, static h => { h.Retries = 2; h.FirstDelay = h.MaxDelay = TimeSpan.FromMilliseconds(1); }));
        TaskReceipt receipt = await queue.EnqueueAsync(new Job(7), new() { Durability = Durability.Cluster });

        await Eventually.Holds(() => queue.DeadLetters.ListAsync().AsTask().Result.Count == 1);

        Assert.That(attempts, Is.EqualTo(new[] { (1, RouteName.Redis), (2, RouteName.Redis), (3, RouteName.Redis) }));
        DeadLetteredTask dead = (await queue.DeadLetters.ListAsync()).Single();
        Assert.That((dead.Id, dead.Route, dead.Attempts, dead.Reason),
            Is.EqualTo((receipt.Id, RouteName.Redis, 3, "attempt 3 of 3: IOException: no")));
        Assert.That((await queue.DeadLetters.DeleteAsync(dead), await queue.DeadLetters.DeleteAsync(dead)), Is.EqualTo((true, false)));
    }

    [Test]
    public async Task A_stop_hands_what_waits_to_redis_with_its_attempts_and_says_how_many()
    {
        TaskCompletionSource started = new(), finish = new();
        TaskQueue first = await StartAsync(RedisOnly().AddHandler<Job>(Name, async (_, _, _) =>
        {
            started.TrySetResult();
            await finish.Task;
        }, static h => h.Concurrency = 1));
        for (int i = 0; i < 50; i++) await first.EnqueueAsync(new Job(i));
        await started.Task.Soon();

        Task<DrainReport> stop = first.StopAsync();
        await Eventually.Holds(() => Server.AskAsync($"XLEN otto:{{{Name}}}:stream").Result == ":49");
        finish.SetResult();
        DrainReport report = await stop.Soon();

        Assert.That((report.Completed, report.Transferred[RouteName.Redis], report.Lost), Is.EqualTo((1, 49, 0)));
        HashSet<int> seen = [];
        TaskQueue second = await StartAsync(RedisOnly().AddHandler<Job>(Name, (job, context, _) =>
        {
            lock (seen) if (context.Attempt == 1) seen.Add(job.Number);
            return default;
        }));
        await Eventually.Holds(() => second.GetStatistics()[0].Completed == 49);
        Assert.That(seen, Is.EquivalentTo(Enumerable.Range(1, 49)));
    }

    [Test]
    public async Task A_delayed_task_waits_in_redis_and_outlives_its_producer()
    {
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { Delay = TimeSpan.FromMilliseconds(200) });
        await producer.DisposeAsync();
        Assert.That((receipt.Route, receipt.Reason), Is.EqualTo((RouteName.Redis, RouteReason.Delayed)));
        TaskQueue worker = await StartAsync(RedisOnly().AddHandler<Job>(Name, Done));
        await Eventually.Holds(() => worker.GetStatistics()[0].Completed == 1);
    }

    [Test]
    public async Task A_name_without_a_handler_here_is_released_for_others()
    {
        TaskQueue half = await StartAsync(RedisOnly().AddHandler<Job>("a", Done, h => h.Queue = Name));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>("b", h => h.Queue = Name));
        await producer.EnqueueNamedAsync("b", new Job(1));
        await Eventually.Holds(() => half.GetStatistics()[0].Returned > 0);
        TaskQueue whole = await StartAsync(RedisOnly().AddHandler<Job>("b", Done, h => h.Queue = Name));
        await Eventually.Holds(() => whole.GetStatistics()[0].Completed == 1);
    }

    [Test]
    public async Task Configuration_alone_moves_a_program_to_redis_and_unknown_keys_are_refused()
    {
        RedisRouteOptions? seen = null;
        TaskQueueOptions options = InProcessOnly().UseRedis("nowhere:1", o => seen = o).AddProducer<Job>(Name);
        Microsoft.Extensions.Configuration.IConfiguration configuration =
            Configure(("Redis:Configuration", Server.Configuration), ("Redis:Capacity", "5"), ("Redis:LeaseTime", "00:00:02"),
                ("Redis:Prefix", "mine"));
        TaskQueueConfiguration.Apply(options, configuration);
        Assert.That((seen!.Capacity, seen.LeaseTime, seen.Prefix), Is.EqualTo((5, TimeSpan.FromSeconds(2), "mine")));
        TaskQueue queue = Make(options);
        Assert.That((await queue.EnqueueAsync(new Job(1))).Route, Is.EqualTo(RouteName.Redis));

        Assert.That(() => TaskQueueConfiguration.Apply(InProcessOnly().UseRedis("nowhere:1"), Configure(("Redis:Lease", "1"))),
            Throws.ArgumentException.With.Message.Contains("unknown key 'Redis:Lease'; known: Configuration, Capacity"));
        Assert.That(() => InProcessOnly().UseRedis("nowhere:1", static o => o.Capacity = 0),
            Throws.ArgumentException.With.Message.Contains("Redis.Capacity must be 1 to"));
    }

    private static Microsoft.Extensions.Configuration.IConfiguration Configure(params (string Key, string Value)[] values)
        => Microsoft.Extensions.Configuration.MemoryConfigurationBuilderExtensions.AddInMemoryCollection(
            new Microsoft.Extensions.Configuration.ConfigurationBuilder(),
            values.Select(static v => KeyValuePair.Create(v.Key, (string?)v.Value))).Build();
}
