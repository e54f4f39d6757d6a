using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Fundamentals;

// Start reading here: these files, in order, are the tutorial.

/// <summary>One process: declare, start, enqueue, stop.</summary>
internal sealed class T1_A_task_finds_its_handler : QueueTest
{
    [Test]
    public async Task The_handler_gets_the_very_object_that_was_enqueued()
    {
        TaskCompletionSource<ResizePhoto> arrived = new();
        await using TaskQueue queue = new(Options().AddHandler<ResizePhoto>("photos.resize", (task, _, _) =>
        {
            arrived.SetResult(task);
            return ValueTask.CompletedTask;
        }));
        await queue.StartAsync();

        ResizePhoto photo = new("a.jpg");
        TaskReceipt receipt = await queue.EnqueueAsync(photo);

        Assert.That(await arrived.Task.Soon(), Is.SameAs(photo));
        Assert.That(receipt.Route, Is.EqualTo(RouteName.InProcess));
        Assert.That(receipt.Reason, Is.EqualTo("worker here has room"));
        Assert.That(receipt.Outcome, Is.EqualTo(EnqueueOutcome.Accepted));
    }

    [Test]
    public async Task The_context_describes_the_task_to_its_handler()
    {
        TaskCompletionSource<(TaskId Id, string Name, int Attempt, RouteName Route, DateTimeOffset At)> seen = new();
        TaskQueue queue = await StartAsync(Options(Time).AddHandler<ResizePhoto>("photos.resize", (_, context, _) =>
        {
            seen.SetResult((context.Id, context.Name, context.Attempt, context.Route, context.EnqueuedAt));
            return ValueTask.CompletedTask;
        }));

        TaskReceipt receipt = await queue.EnqueueAsync(new ResizePhoto("a.jpg"));

        Assert.That(await seen.Task.Soon(), Is.EqualTo((receipt.Id, "photos.resize", 1, RouteName.InProcess, Time.GetUtcNow())));
    }

    [Test]
    public async Task A_handler_can_be_a_class_of_its_own()
    {
        TaskQueue queue = await StartAsync(
            Options().AddHandler<ResizePhoto, CountingHandler>("photos.resize",
                h => { h.Retries = 5; h.Timeout = TimeSpan.FromSeconds(30); h.Concurrency = 8; }));
        int before = CountingHandler.Seen;

        for (int i = 0; i < 10; i++) await queue.EnqueueAsync(new ResizePhoto($"{i}.jpg"));

        await Eventually.Holds(() => CountingHandler.Seen == before + 10);
    }

    [Test]
    public async Task With_concurrency_1_tasks_run_in_the_order_of_their_producer()
    {
        List<int> order = [];
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", (job, _, _) =>
        {
            order.Add(job.Number);
            return ValueTask.CompletedTask;
        }, h => h.Concurrency = 1));

        for (int i = 0; i < 1000; i++) await queue.EnqueueAsync(new Job(i));
        await queue.StopAsync();

        Assert.That(order, Is.EqualTo(Enumerable.Range(0, 1000)));
    }

    private sealed class CountingHandler : ITaskHandler<ResizePhoto>
    {
        internal static int Seen;

        public ValueTask HandleAsync(ResizePhoto task, TaskContext context, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref Seen);
            return ValueTask.CompletedTask;
        }
    }
}
