using System.Diagnostics;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Workers;

/// <summary>Retries: how often, after what pause, and never less durable than before.</summary>
[Parallelizable]
internal sealed class RetryTests : QueueTest
{
    [Test]
    public void Pauses_double_up_to_their_limit()
    {
        RetryPolicy policy =
            new(new HandlerOptions { FirstDelay = TimeSpan.FromMilliseconds(200), MaxDelay = TimeSpan.FromSeconds(1), Jitter = 0 });
        Assert.That(Enumerable.Range(1, 5).Select(n => policy.DelayAfter(n, 0.5).TotalMilliseconds),
            Is.EqualTo(new double[] { 200, 400, 800, 1000, 1000 }));
    }

    [Test]
    public void Jitter_takes_off_up_to_its_part()
    {
        TimeSpan second = TimeSpan.FromSeconds(1);
        RetryPolicy policy = new(new HandlerOptions { FirstDelay = second, MaxDelay = second, Jitter = 0.25 });
        Assert.That(policy.DelayAfter(1, 0).TotalMilliseconds, Is.EqualTo(1000));
        Assert.That(policy.DelayAfter(1, 1).TotalMilliseconds, Is.EqualTo(750));
    }

    [Test]
    public void A_thousandth_pause_does_not_overflow()
    {
        RetryPolicy policy =
            new(new HandlerOptions { FirstDelay = TimeSpan.FromSeconds(1), MaxDelay = TimeSpan.FromDays(1), Factor = 100 });
        Assert.That(policy.DelayAfter(1000, 0), Is.EqualTo(TimeSpan.FromDays(1)));
    }

    [Test]
    public async Task A_durable_task_keeps_its_place_in_the_segment_through_its_pause()
    {
        List<(int Attempt, RouteName Route)> attempts = [];
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", (_, context, _) =>
        {
            lock (attempts) attempts.Add((context.Attempt, context.Route));
            return context.Attempt < 3 ? throw new IOException("not yet") : default;
        }, h => { h.Concurrency = 1; h.FirstDelay = h.MaxDelay = TimeSpan.FromSeconds(2); h.Jitter = 0; }));

        long start = Stopwatch.GetTimestamp();
        await queue.EnqueueAsync(new Job(1), new() { Durability = Durability.Process });
        for (int retry = 1; retry <= 2; retry++)
            await Eventually.Holds(() => queue.GetStatistics()[0].Retried == retry && Inspect("jobs") is { Delayed: 1, Leased: 0 });

        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
        Assert.That(attempts, Is.EqualTo(new[] { (1, RouteName.InProcess), (2, RouteName.SharedMemory), (3, RouteName.SharedMemory) }));
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(4)));
        await Eventually.Holds(() => Inspect("jobs").Leased == 0);
    }

    [Test]
    public async Task When_too_many_wait_the_worker_itself_sits_out_the_pause()
    {
        int failures = 0;
        TaskQueue queue = await StartAsync(InProcessOnly(Time).UseInProcess(o => o.Capacity = 2).AddHandler<Job>("jobs", (_, context, _) =>
        {
            if (context.Attempt > 1) return default;
            Interlocked.Increment(ref failures);
            throw new IOException("not yet");
        }, h => { h.Concurrency = 1; h.FirstDelay = h.MaxDelay = TimeSpan.FromSeconds(1); h.Jitter = 0; }));

        // Two wait in the room, the third keeps the worker, the next two fill the ring: a sixth has to wait.
        for (int i = 0; i < 3; i++)
        {
            await queue.EnqueueAsync(new Job(i));
            await Eventually.Holds(() => Volatile.Read(ref failures) == i + 1);
        }

        for (int i = 3; i < 5; i++) await queue.EnqueueAsync(new Job(i));
        Task<TaskReceipt> sixth = queue.EnqueueAsync(new Job(5)).AsTask();
        Assert.That((sixth.IsCompleted, Volatile.Read(ref failures)), Is.EqualTo((false, 3)));

        while (queue.GetStatistics()[0].Completed < 6)
        {
            Time.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }

        await sixth.Soon();
    }

    [Test]
    public async Task A_timeout_counts_as_a_failure_and_is_named()
    {
        TaskQueue queue = await StartAsync(Options(Time).AddHandler<Job>("jobs", async (_, _, cancellationToken)
            => await Task.Delay(Timeout.Infinite, cancellationToken), h => { h.Retries = 0; h.Timeout = TimeSpan.FromSeconds(30); }));

        await queue.EnqueueAsync(new Job(1));
        await Eventually.Holds(() => Time.NextTimer == TimeSpan.FromSeconds(30));
        Time.Advance(TimeSpan.FromSeconds(30));

        await Eventually.Holds(() => queue.GetStatistics()[0].DeadLettered == 1);
        Assert.That((await queue.DeadLetters.ListAsync()).Single().Reason,
            Is.EqualTo("attempt 1 of 1: TimeoutException: attempt 1 ran longer than 30 s"));
    }

    [Test]
    public async Task A_task_that_ends_in_time_leaves_no_timeout_for_the_next()
    {
        TaskCompletionSource release = new();
        List<bool> cancelled = [];
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", async (_, _, cancellationToken) =>
        {
            await release.Task;
            lock (cancelled) cancelled.Add(cancellationToken.IsCancellationRequested);
        }, h => { h.Timeout = TimeSpan.FromHours(1); h.Concurrency = 1; }));

        for (int i = 0; i < 100; i++) await queue.EnqueueAsync(new Job(i));
        release.SetResult();

        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 100);
        Assert.That(cancelled, Has.All.False);
    }

    [Test]
    public async Task A_handler_that_throws_at_once_and_one_that_throws_later_are_treated_alike()
    {
        TaskQueue queue = await StartAsync(Options()
            .AddHandler<Job>("at-once", static (_, _, _) => throw new IOException("no"), h => h.Retries = 0)
            .AddHandler<ResizePhoto>("later", static async (_, _, _) =>
            {
                await Task.Yield();
                throw new IOException("no");
            }, h => h.Retries = 0));

        await queue.EnqueueAsync(new Job(1));
        await queue.EnqueueAsync(new ResizePhoto("a"));

        await Eventually.Holds(() => queue.GetStatistics().All(static s => s.DeadLettered == 1));
        Assert.That((await queue.DeadLetters.ListAsync()).Select(static d => d.Reason), Has.All.EqualTo("attempt 1 of 1: IOException: no"));
    }

    [Test]
    public async Task Tasks_that_keep_failing_do_not_keep_others_waiting()
    {
        TaskQueue queue = await StartAsync(
            Options(Time).AddHandler<Job>("jobs", static (job, _, _) => job.Number == 0 ? throw new IOException("never") : default,
            h => { h.Concurrency = 1; h.FirstDelay = h.MaxDelay = TimeSpan.FromHours(1); }));

        await queue.EnqueueAsync(new Job(0));
        for (int i = 1; i <= 100; i++) await queue.EnqueueAsync(new Job(i));

        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 100);
    }
}
