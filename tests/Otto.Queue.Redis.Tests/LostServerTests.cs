using System.Collections.Concurrent;
using System.Diagnostics;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Otto.Ipc;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>A server that dies, is paused, or is not there yet: ridden out, and nothing
/// that was accepted is lost while it keeps its data.</summary>
[Parallelizable]
internal sealed class LostServerTests : RedisTest
{
    private RedisServer? _own;

    // These tests do to their server what no other test could bear.
    protected override async Task<RedisServer> GetServerAsync() => _own = await RedisServer.StartAsync(persistent: true);

    [TearDown]
    public void StopServer() => _own?.Dispose();

    [Test]
    public async Task A_killed_server_that_kept_its_data_loses_nothing_that_was_accepted()
    {
        ConcurrentDictionary<int, int> done = new();
        TaskQueue worker = await StartAsync(RedisOnly().AddHandler<Job>(Name, (job, _, _) =>
        {
            done.AddOrUpdate(job.Number, 1, static (_, times) => times + 1);
            return default;
        }, static h => h.Concurrency = 4));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        using CancellationTokenSource stop = new();
        int sent = 0;
        Task producing = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                // Accepted means accepted: while the server is away this waits.
                await producer.EnqueueAsync(new Job(sent), new() { Durability = Durability.Cluster });
                Volatile.Write(ref sent, sent + 1);
            }
        });

        for (int death = 0; death < 3; death++)
        {
            int before = Volatile.Read(ref sent);
            await Eventually.Holds(() => Volatile.Read(ref sent) > before + 200);
            Server.Kill();
            await Server.StartAgainAsync();
        }

        int last = Volatile.Read(ref sent);
        await Eventually.Holds(() => Volatile.Read(ref sent) > last + 200);
        await stop.CancelAsync();
        await producing.Soon();

        await Eventually.Holds(() => done.Count == sent);
        await Eventually.Holds(() => producer.GetStatistics()[0].Remote == sent);
        // Acknowledgements that were on their way may be made again, but a batch that was sent again was
        // known by its number: what ran twice is an attempt more, not a task more.
        Assert.That(done.Values.Count(static times => times > 2), Is.Zero);
        await worker.StopAsync();
    }

    [Test]
    public async Task Connections_that_are_cut_again_and_again_lose_nothing_and_end_no_worker()
    {
        ConcurrentDictionary<int, int> done = new();
        // Beats come in quick succession, so that many of them meet a connection that breaks.
        TaskQueueOptions options = InProcessOnly().UseRedis(Server.Configuration, static o => o.LeaseTime = TimeSpan.FromSeconds(1));
        await StartAsync(options.AddHandler<Job>(Name, (job, _, _) =>
        {
            done[job.Number] = 1;
            return default;
        }, static h => h.Concurrency = 4));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        const int Tasks = 2000;
        Task producing = Task.Run(async () =>
        {
            for (int i = 0; i < Tasks; i++) await producer.EnqueueAsync(new Job(i), new() { Durability = Durability.Cluster });
        });

        for (int cut = 0; cut < 200; cut++) await Server.AskAsync("CLIENT KILL TYPE normal SKIPME yes");

        await producing.Soon();
        await Eventually.Holds(() => done.Count == Tasks);
    }

    [Test]
    public async Task A_server_that_restarted_empty_takes_new_tasks_and_its_workers_continue()
    {
        ConcurrentDictionary<int, int> done = new();
        await StartAsync(RedisOnly().AddHandler<Job>(Name, (job, _, _) =>
        {
            done[job.Number] = 1;
            return default;
        }));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        await producer.EnqueueAsync(new Job(1));
        await Eventually.Holds(() => done.ContainsKey(1));

        Server.Kill();
        Server.LoseData();
        await Server.StartAgainAsync();

        await producer.EnqueueAsync(new Job(2));
        await Eventually.Holds(() => done.ContainsKey(2));
    }

    [Test]
    public async Task Before_the_server_is_there_tasks_spill_and_producers_that_may_not_spill_wait()
    {
        Server.Kill();
        TaskQueue producer = Make(AllRoutes().AddProducer<Job>(Name));

        TaskReceipt near = await producer.EnqueueAsync(new Job(1)).AsTask().Soon();
        Task<TaskReceipt> far = producer.EnqueueAsync(new Job(2), new() { Durability = Durability.Cluster }).AsTask();

        Assert.That(near.Route, Is.EqualTo(RouteName.SharedMemory));
        Assert.That(far.IsCompleted, Is.False);
        await Server.StartAgainAsync();
        Assert.That((await far.Soon()).Route, Is.EqualTo(RouteName.Redis));
    }

    [Test]
    public async Task A_paused_server_is_out_of_reach_and_what_was_asked_of_it_is_done_once()
    {
        RedisTaskChannel channel = await OpenAsync(static o => o.CommandTimeout = TimeSpan.FromMilliseconds(200)),
            patient = await OpenAsync();
        Server.Pause();
        Task<SendResult> sending = channel.SendAsync(new byte[24], new SendOptions(default), default).AsTask();
        await Eventually.Holds(
            () => sending.IsCompleted
            || channel.WaitToSendAsync(new CancellationTokenSource(TimeSpan.FromMilliseconds(600)).Token).AsTask().ContinueWith(
                static t => t.IsCanceled).Result);
        Assert.That(sending.IsCompleted, Is.False);
        Server.Resume();

        Assert.That((await sending.Soon()).Outcome, Is.EqualTo(SendOutcome.Sent));
        Assert.That((await patient.CountAsync(default)).Ready, Is.EqualTo(1), "asked several times, done once");
    }

    [Test]
    public async Task What_waits_for_a_server_that_does_not_answer_is_bounded_by_its_bytes()
    {
        RedisTaskChannel channel = await OpenAsync(static o => o.CommandTimeout = TimeSpan.FromMinutes(1));
        Server.Pause();
        // One is on its way, 128 MiB wait behind it, and the others are told to wait outside.
        List<Task<SendResult>> sending = [];
        for (int i = 0; i < 140; i++) sending.Add(channel.SendAsync(new byte[1 << 20], new SendOptions(default), default).AsTask());
        Task<SendResult>[] refused = [.. sending.Where(static s => s.IsCompleted)];
        Server.Resume();

        Assert.That((await Task.WhenAll(refused)).Select(static a => a.Outcome), Is.EqualTo(Enumerable.Repeat(SendOutcome.Full, 11)));
        Assert.That((await Task.WhenAll(sending.Except(refused)).Soon()).Select(static a => a.Outcome), Is.All.EqualTo(SendOutcome.Sent));
        Assert.That((await channel.SendAsync(new byte[1 << 20], new SendOptions(default), default)).Outcome, Is.EqualTo(SendOutcome.Sent),
            "and there is room again");
    }

    [Test]
    public async Task A_result_that_could_not_be_reported_is_reported_when_the_server_is_back()
    {
        TaskCompletionSource started = new(), finish = new();
        TaskQueue worker = Make(RedisOnly().AddHandler<Job, string>(Name, async (_, _, _) =>
        {
            started.TrySetResult();
            await finish.Task;
            return "found";
        }, static h => h.Concurrency = 1));
        await worker.StartAsync();
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        await started.Task.Soon();
        Server.Kill();
        await Eventually.Holds(() => worker.Queues[0].Routes[0].Channel.Status is not null);
        finish.SetResult();
        await Eventually.Holds(() => worker.GetStatistics()[0].Completed == 1);
        await Server.StartAgainAsync();
        Assert.That(await producer.WaitAsync<string>(receipt).Soon(), Is.EqualTo("found"));
    }

    [Test]
    public async Task A_stop_ends_although_the_server_hangs_and_says_what_it_could_not_hand_over()
    {
        TaskCompletionSource started = new();
        TaskQueue worker = await StartAsync(
            RedisOnly(static o => o.CommandTimeout = TimeSpan.FromSeconds(1)).AddHandler<Job>(Name, async (_, _, cancellationToken) =>
        {
            started.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }, static h => h.Concurrency = 1));
        for (int i = 0; i < 3; i++) await worker.EnqueueAsync(new Job(i));
        await started.Task.Soon();
        Server.Pause();
        try
        {
            using CancellationTokenSource deadline = new(TimeSpan.FromMilliseconds(200));
            DrainReport report = await worker.StopAsync(deadline.Token).Soon();
            Assert.That((report.Lost, report.TransferredTotal), Is.EqualTo((3, 0)));
        }
        finally
        {
            Server.Resume();
        }
    }

    [Test]
    public async Task Workers_and_producers_of_a_server_that_hangs_close_within_one_bound([Values] bool noticed)
    {
        TimeSpan drain = TimeSpan.FromSeconds(1), command = TimeSpan.FromSeconds(4);
        TaskQueueOptions working = RedisOnly(o => o.CommandTimeout = command).AddHandler<Job, string>(Name, static (job, _, _) =>
            new($"{job.Number}"), static h => h.Concurrency = 4);
        TaskQueueOptions producing = RedisOnly(o => o.CommandTimeout = command).AddProducer<Job>(Name);
        working.DrainTimeout = producing.DrainTimeout = drain;
        TaskQueue worker = await StartAsync(working), producer = Make(producing);
        Task[] senders = [.. Enumerable.Range(0, 8).Select(sender => Task.Run(async () =>
        {
            while (true) await producer.EnqueueAsync(new Job(sender), new() { TrackResult = true });
        }))];
        await Eventually.Holds(() => worker.GetStatistics()[0].Completed > 200);
        Server.Pause();
        try
        {
            if (noticed)
            {
                await Eventually.Holds(() => worker.Queues[0].Routes[0].Channel.Status is not null
                    && producer.Queues[0].Routes[0].Channel.Status is not null);
                Assert.That(producer.Queues[0].Routes[0].Channel.Status, Does.Contain("no answer from 127.0.0.1:"));
            }

            long start = Stopwatch.GetTimestamp();
            await Task.WhenAll(worker.StopAsync(), producer.DisposeAsync().AsTask()).Soon();
            await worker.DisposeAsync();
            Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(drain + (2 * command)));
            foreach (Task sender in senders) Assert.That(async () => await sender.Soon(), Throws.InstanceOf<InvalidOperationException>());
        }
        finally
        {
            Server.Resume();
        }
    }

    [Test]
    public async Task A_server_that_hung_counts_as_available_when_it_answers_again()
    {
        TaskQueue producer = Make(AllRoutes(static o => o.CommandTimeout = TimeSpan.FromMilliseconds(500)).AddProducer<Job>(Name));
        TaskReceipt before = await producer.EnqueueAsync(new Job(0), new() { Durability = Durability.Cluster });
        Assert.That(before.Route, Is.EqualTo(RouteName.Redis));
        Server.Pause();
        Task<TaskReceipt> sent = producer.EnqueueAsync(new Job(1), new() { Durability = Durability.Cluster }).AsTask();
        await Eventually.Holds(() => producer.Queues[0].Routes[^1].Channel.Status is not null);
        Server.Resume();
        await Eventually.Holds(() => producer.Queues[0].Routes[^1].Channel.Status is null);
        Assert.That((await sent.Soon()).Route, Is.EqualTo(RouteName.Redis));
    }

    [Test]
    public async Task A_server_without_memory_counts_as_full()
    {
        await Server.AskAsync("CONFIG SET maxmemory 1");
        TaskQueue producer = Make(RedisOnly(static o => o.FullMode = QueueFullMode.Reject).AddProducer<Job>(Name));
        Assert.That(async () => await producer.EnqueueAsync(new Job(1)), Throws.TypeOf<QueueFullException>());
        await Server.AskAsync("CONFIG SET maxmemory 0");
        Assert.That((await producer.EnqueueAsync(new Job(1))).Route, Is.EqualTo(RouteName.Redis));
    }

    [Test]
    public async Task The_health_check_says_when_the_server_is_away_and_when_a_task_waits_too_long()
    {
        ServiceCollection services = new();
        services.AddLogging();
        services.AddOttoQueue(o => o.UseSharedMemory(static s => s.Enabled = false).UseRedis(Server.Configuration).AddProducer<Job>(Name))
            .AddHealthCheck(oldest: TimeSpan.FromMilliseconds(50));
        await using ServiceProvider provider = services.BuildServiceProvider();
        TaskQueue queue = provider.GetRequiredService<TaskQueue>();
        await queue.StartAsync();
        HealthCheckService health = provider.GetRequiredService<HealthCheckService>();
        Assert.That((await health.CheckHealthAsync()).Status, Is.EqualTo(HealthStatus.Healthy));

        await queue.EnqueueAsync(new Job(1));
        await Eventually.Holds(() => health.CheckHealthAsync().Result.Status == HealthStatus.Degraded);

        Server.Kill();
        await Eventually.Holds(() => health.CheckHealthAsync().Result.Status == HealthStatus.Unhealthy);
        Assert.That((await health.CheckHealthAsync()).Entries["otto-queue"].Description, Does.Contain($"{Name}/Redis: "));
    }
}
