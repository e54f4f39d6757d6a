using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Workers;

/// <summary>A graceful stop: nothing is lost, and the numbers say so.</summary>
internal sealed class DrainTests : QueueTest
{
    [Test]
    public async Task What_was_cancelled_in_the_ring_is_not_handed_over_by_a_stop(
        [Values(Durability.None, Durability.Process)] Durability durability)
    {
        TaskCompletionSource started = new(), finish = new();
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", async (_, _, _) =>
        {
            started.TrySetResult();
            await finish.Task;
        }, static h => h.Concurrency = 1));
        await queue.EnqueueAsync(new Job(0));
        await started.Task.Soon();
        TaskReceipt receipt = await queue.EnqueueAsync(new Job(1), new() { Durability = durability, TrackResult = true });
        Assert.That(await queue.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Removed));

        Task<DrainReport> stop = queue.StopAsync();
        await Eventually.Holds(() => queue.Queues[0].Stopping.IsCancellationRequested && queue.Queues[0].Ring.Count == 0);
        finish.SetResult();

        Assert.That((await stop.Soon()).TransferredTotal, Is.Zero);
        Assert.That(async () => await queue.WaitAsync(receipt).Soon(),
            Throws.TypeOf<TaskCanceledException>());
        Assert.That(Inspect("jobs"), Is.EqualTo(Inspect("jobs") with { Ready = 0, Leased = 0 }));
    }

    [Test]
    public async Task A_stopping_queue_refuses_new_tasks()
    {
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default));
        await queue.StopAsync();
        Assert.That(async () => await queue.EnqueueAsync(new Job(1)),
            Throws.TypeOf<QueueStoppedException>().With.Message.Contains("'jobs' is stopping"));
    }

    [Test]
    public async Task What_runs_is_finished_and_what_waits_is_handed_over_attempts_and_all()
    {
        TaskCompletionSource started = new(), finish = new();
        TaskQueue first = await StartAsync(Options().AddHandler<Job>("jobs", async (_, _, _) =>
        {
            started.TrySetResult();
            await finish.Task;
        }, h => h.Concurrency = 1));
        for (int i = 0; i < 20; i++) await first.EnqueueAsync(new Job(i), i % 2 == 0 ? null : new() { Durability = Durability.Process });
        await started.Task.Soon();

        Task<DrainReport> stop = first.StopAsync();
        await Eventually.Holds(() => Inspect("jobs").Ready == 19);
        finish.SetResult();
        DrainReport report = await stop.Soon();

        Assert.That((report.Completed, report.Transferred[RouteName.SharedMemory], report.Lost, report.StillRunning),
            Is.EqualTo((1, 19, 0, 0)));
        HashSet<int> seen = [];
        List<int> attempts = [];
        TaskQueue second = await StartAsync(Options().AddHandler<Job>("jobs", (job, context, _) =>
        {
            lock (seen)
            {
                seen.Add(job.Number);
                attempts.Add(context.Attempt);
            }

            return default;
        }));
        await Eventually.Holds(() => second.GetStatistics()[0].Completed == 19);
        Assert.That(seen, Is.EquivalentTo(Enumerable.Range(1, 19)));
        Assert.That(attempts, Has.All.EqualTo(1));
    }

    [Test]
    public async Task Without_another_route_everything_is_done_before_the_stop_ends()
    {
        TaskQueue queue = await StartAsync(
            InProcessOnly().AddHandler<Job>("jobs", static async (_, _, _) => await Task.Yield(), h => h.Concurrency = 2));
        for (int i = 0; i < 1000; i++) await queue.EnqueueAsync(new Job(i));

        DrainReport report = await queue.StopAsync();

        Assert.That((report.TransferredTotal, report.Lost, queue.GetStatistics()[0].Completed), Is.EqualTo((0, 0, 1000)));
    }

    [Test]
    public async Task What_a_full_segment_cannot_take_is_done_here()
    {
        TaskCompletionSource started = new(), finish = new();
        TaskQueue queue = await StartAsync(Options().UseSharedMemory(s => s.Slots = 4).AddHandler<Job>("jobs", async (_, _, _) =>
        {
            started.TrySetResult();
            await finish.Task;
        }, h => h.Concurrency = 1));
        for (int i = 0; i < 10; i++) await queue.EnqueueAsync(new Job(i));
        await started.Task.Soon();

        Task<DrainReport> stop = queue.StopAsync();
        await Eventually.Holds(() => Inspect("jobs").Ready == 4);
        finish.SetResult();
        DrainReport report = await stop.Soon();

        Assert.That((report.Completed, report.Transferred[RouteName.SharedMemory], report.Lost), Is.EqualTo((6, 4, 0)));
    }

    [Test]
    public async Task When_time_is_up_running_handlers_are_cancelled_and_what_no_route_takes_is_reported_lost()
    {
        TaskCompletionSource started = new();
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", async (_, _, cancellationToken) =>
        {
            started.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }, h => h.Concurrency = 1));
        for (int i = 0; i < 3; i++) await queue.EnqueueAsync(new Job(i));
        await started.Task.Soon();

        DrainReport report = await queue.StopAsync(new CancellationToken(canceled: true)).Soon();

        Assert.That((report.Completed, report.Lost, report.StillRunning), Is.EqualTo((0, 3, 0)));
    }

    [Test]
    public async Task A_handler_that_does_not_give_way_is_reported_and_does_not_hold_up_the_stop()
    {
        TaskCompletionSource started = new(), finish = new();
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", async (_, _, _) =>
        {
            started.TrySetResult();
            await finish.Task;
        }, h => h.Concurrency = 1));
        await queue.EnqueueAsync(new Job(1), new() { Durability = Durability.Process });
        await started.Task.Soon();

        DrainReport report = await queue.StopAsync(new CancellationToken(canceled: true)).Soon();

        Assert.That(report.StillRunning, Is.EqualTo(1));
        finish.SetResult(); // Its lease was still ours, so what it completes is completed.
        await Eventually.Holds(() => Inspect("jobs") is { Leased: 0, Ready: 0 });
    }

    [Test]
    public async Task A_handler_interrupted_by_the_deadline_gives_its_leased_task_back_uncounted()
    {
        TaskCompletionSource started = new();
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", async (_, _, cancellationToken) =>
        {
            started.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }, h => h.Concurrency = 1));
        await queue.EnqueueAsync(new Job(1), new() { Route = RouteName.SharedMemory });
        await started.Task.Soon();

        DrainReport report = await queue.StopAsync(new CancellationToken(canceled: true)).Soon();

        Assert.That(report.Transferred[RouteName.SharedMemory], Is.EqualTo(1));
        using Otto.Ipc.WorkQueue segment = OpenSegment("jobs");
        Assert.That(segment.TryLease(out Otto.Ipc.WorkLease lease), Is.True);
        Assert.That(lease.Attempt, Is.EqualTo(1));
        lease.Complete();
    }

    [Test]
    public async Task A_task_in_its_back_off_is_handed_over_with_the_attempts_it_had()
    {
        TaskQueue first = await StartAsync(
            Options(Time).AddHandler<Job>("jobs", static (_, _, _) => throw new IOException("not here"),
                h => { h.Retries = 5; h.FirstDelay = h.MaxDelay = TimeSpan.FromHours(1); }));
        await first.EnqueueAsync(new Job(1));
        await Eventually.Holds(
            () => first.GetStatistics()[0].Waiting == 1 && first.GetStatistics()[0].Retried == 1 && Time.NextTimer is not null);

        DrainReport report = await first.StopAsync();

        Assert.That(report.Transferred[RouteName.SharedMemory], Is.EqualTo(1));
        TaskCompletionSource<int> attempt = new();
        await StartAsync(Options().AddHandler<Job>("jobs", (_, context, _) =>
        {
            attempt.TrySetResult(context.Attempt);
            return default;
        }));
        Assert.That(await attempt.Task.Soon(), Is.EqualTo(2));
    }

    [Test]
    public async Task A_handler_that_is_still_running_may_enqueue_follow_ups_for_others()
    {
        TaskCompletionSource started = new(), go = new();
        TaskReceipt? follow = null;
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", async (_, context, cancellationToken) =>
        {
            started.TrySetResult();
            await go.Task;
            follow = await context.TaskQueue.EnqueueAsync(new Job(2), null, cancellationToken);
        }, h => h.Concurrency = 1));
        await queue.EnqueueAsync(new Job(1));
        await started.Task.Soon();

        Task<DrainReport> stop = queue.StopAsync();
        await Eventually.Holds(() => queue.Queues[0].State == QueueState.Draining);
        go.SetResult();

        Assert.That((await stop.Soon()).Completed, Is.EqualTo(1));
        Assert.That(follow!.Value.Reason, Is.EqualTo(RouteReason.Draining));
        Assert.That(Inspect("jobs").Ready, Is.EqualTo(1));
    }

    [Test]
    public async Task Producers_that_race_with_a_stop_lose_nothing_that_was_accepted()
    {
        for (int round = 0; round < 20; round++)
        {
            long accepted = 0;
            TaskQueue queue = await StartAsync(
                Options().UseSharedMemory(s => s.Slots = 16384).AddHandler<Job>($"jobs{round}", static (_, _, _) => default,
                    h => h.Concurrency = 2));
            Task[] producers = [.. Enumerable.Range(0, 2).Select(_ => Task.Run(async () =>
            {
                try
                {
                    while (true)
                    {
                        await queue.EnqueueAsync(new Job(0));
                        Interlocked.Increment(ref accepted);
                    }
                }
                catch (QueueStoppedException)
                {
                }
            }))];
            await Eventually.Holds(() => Volatile.Read(ref accepted) > 1000);

            DrainReport report = await queue.StopAsync().Soon();
            await Task.WhenAll(producers).Soon();

            long left = Inspect($"jobs{round}").Ready;
            Assert.That(queue.GetStatistics()[0].Completed + left, Is.EqualTo(accepted), report.ToString());
        }
    }

    [Test]
    public async Task A_queue_starts_once()
    {
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default));
        Assert.That(async () => await queue.StartAsync(), Throws.InvalidOperationException);
        DrainReport first = await queue.StopAsync();
        Assert.That(await queue.StopAsync(), Is.SameAs(first));
    }
}
