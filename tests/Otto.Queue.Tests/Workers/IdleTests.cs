using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Workers;

/// <summary><see cref="TaskQueue.DrainAsync"/> waits until there is nothing left to do.</summary>
internal sealed class IdleTests : QueueTest
{
    private const int Many = 20_000;

    [TestCase(true, TestName = "Many_tasks_have_ended_in_process_and_through_a_small_segment")]
    [TestCase(false, TestName = "Many_tasks_have_ended_in_process")]
    public async Task Many_tasks_have_ended(bool overflows)
    {
        int done = 0;
        TaskQueueOptions options = overflows ? Options().UseSharedMemory(static s => s.Slots = 64) : InProcessOnly();
        options.InProcess.Capacity = 128;
        TaskQueue queue = await StartAsync(options.AddHandler<Job>("jobs", async (job, _, _) =>
        {
            if (job.Number % 1000 == 0) await Task.Yield();
            Interlocked.Increment(ref done);
        }));

        for (int i = 0; i < Many; i++) await queue.EnqueueAsync(new Job(i));
        await queue.DrainAsync().Soon();

        Assert.That(done, Is.EqualTo(Many));
        Assert.That(queue.GetStatistics()[0].Overflowed, overflows ? Is.Positive : Is.Zero);
    }

    [TestCase(Durability.None)]
    [TestCase(Durability.Process)]
    public async Task A_task_that_fails_is_waited_for_until_its_last_attempt(Durability durability)
    {
        int attempts = 0;
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", (_, _, _) =>
        {
            Interlocked.Increment(ref attempts);
            throw new IOException("no");
        }, static h => { h.Retries = 2; h.FirstDelay = h.MaxDelay = TimeSpan.FromMilliseconds(30); }));

        for (int i = 0; i < 3; i++) await queue.EnqueueAsync(new Job(i), new() { Durability = durability });
        await queue.DrainAsync().Soon();

        Assert.That((attempts, queue.GetStatistics()[0].DeadLettered), Is.EqualTo((9, 3L)));
    }

    [Test]
    public async Task Tasks_that_handlers_enqueue_are_waited_for_too()
    {
        int done = 0;
        TaskQueue queue = await StartAsync(InProcessOnly()
            .AddHandler<Job>("jobs", async (job, context, cancellationToken) =>
            {
                await context.TaskQueue.EnqueueAsync($"{job.Number}", cancellationToken: cancellationToken);
                if (job.Number > 0) await context.TaskQueue.EnqueueAsync(new Job(job.Number - 1), cancellationToken: cancellationToken);
            })
            .AddHandler<string>("lines", async (string _) =>
            {
                await Task.Yield();
                Interlocked.Increment(ref done);
            }));

        await queue.EnqueueAsync(new Job(999));
        await queue.DrainAsync().Soon();

        Assert.That(done, Is.EqualTo(1000));
    }

    [Test]
    public async Task A_producer_waits_for_workers_elsewhere()
    {
        int done = 0;
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        await producer.EnqueueManyAsync(Enumerable.Range(0, 500).Select(static n => new Job(n)));
        Task drained = producer.DrainAsync();
        Assert.That(drained.IsCompleted, Is.False, "no worker exists yet");
        await StartAsync(Options().AddHandler<Job>("jobs", (Job _) => Interlocked.Increment(ref done)));

        await drained.Soon();

        Assert.That(done, Is.EqualTo(500));
    }

    [Test]
    public async Task Tasks_for_later_are_not_waited_for()
    {
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", static (_, _, _) => default));
        TaskQueue inProcess = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", static (_, _, _) => default));
        foreach (TaskQueue each in (TaskQueue[])[queue, inProcess])
        {
            await each.EnqueueAsync(new Job(1), new() { Delay = TimeSpan.FromHours(1) });
            await each.EnqueueAsync(new Job(2), new() { RepeatInterval = TimeSpan.FromHours(1) });
            await each.DrainAsync().Soon();
            Assert.That(each.GetStatistics()[0].Completed, Is.EqualTo(1));
        }
    }

    [Test]
    public async Task The_wait_can_be_cancelled_and_leaves_the_task_alone()
    {
        TaskCompletionSource finish = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", async (Job _) => await finish.Task));
        await queue.EnqueueAsync(new Job(1));
        using CancellationTokenSource stop = new();
        Task drained = queue.DrainAsync(stop.Token);
        await stop.CancelAsync();
        Assert.That(async () => await drained.Soon(), Throws.InstanceOf<OperationCanceledException>());

        finish.SetResult();
        await queue.DrainAsync().Soon();
        Assert.That(queue.GetStatistics()[0].Completed, Is.EqualTo(1));
    }

    [Test]
    public async Task A_queue_that_cannot_get_there_says_so()
    {
        TaskCompletionSource<Exception?> inHandler = new(TaskCreationOptions.RunContinuationsAsynchronously);
        TaskQueue queue = Make(InProcessOnly().AddHandler<Job>("jobs", async (_, context, cancellationToken) =>
        {
            try
            {
                await ((TaskQueue)context.TaskQueue).DrainAsync(cancellationToken);
            }
            catch (InvalidOperationException e)
            {
                inHandler.SetResult(e);
            }
        }));
        Assert.That(async () => await queue.DrainAsync(), Throws.InvalidOperationException.With.Message.Contains("call StartAsync first"));

        await queue.StartAsync();
        await queue.EnqueueAsync(new Job(1));
        Assert.That((await inHandler.Task.Soon())!.Message, Does.Contain("in a handler"));

        await queue.StopAsync();
        Assert.That(async () => await queue.DrainAsync(), Throws.TypeOf<QueueStoppedException>());
    }
}
