using System.Collections.Concurrent;
using System.Diagnostics;

namespace Otto.Queue.Conformance;

// What every route promises to those who use the task queue. A route's test hands in a harness and gets all of these;
// what a route cannot give is named by its harness, tested as such, and listed in docs/routes.md.

/// <summary>One route for one test.</summary>
public interface IRouteHarness : IAsyncDisposable
{
    /// <summary>Options that leave only this route.</summary>
    TaskQueueOptions MakeOptions();

    /// <summary>Whether two queues of the same name meet, as two processes would. In
    /// process there is only one.</summary>
    bool JoinsProcesses { get; }

    /// <summary>Whether the route keeps what was given up; in process alone there is nowhere to keep it.</summary>
    bool KeepsDeadLetters { get; }

    /// <summary>Whether a dead letter counts its attempts. What lived as an object enters
    /// the list as one attempt, and its reason says how many there were.</summary>
    bool CountsAttemptsOfTheDead { get; }

    /// <summary>What a task survives by itself on this route.</summary>
    Durability Durability { get; }
}

/// <summary>The suite of the task queue.</summary>
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public abstract partial class TaskConformance
{
    protected static readonly TimeSpan Watchdog = TimeSpan.FromSeconds(60);

    private readonly List<TaskQueue> _queues = [];
    private readonly List<Action<TaskQueueOptions>> _toDeclare = [];

    public sealed record Job(int Number);

    protected IRouteHarness Harness { get; private set; } = null!;

    /// <summary>A name that no other test uses.</summary>
    protected string Name { get; } = $"t-{Guid.NewGuid():n}";

    /// <summary>Makes a route that no other test uses.</summary>
    protected abstract Task<IRouteHarness> CreateHarnessAsync();

    [SetUp]
    public async Task Create() => Harness = await CreateHarnessAsync();

    [TearDown]
    public async Task Close()
    {
        foreach (TaskQueue queue in _queues) await queue.DisposeAsync().AsTask().WaitAsync(Watchdog);
        if (Harness is not null) await Harness.DisposeAsync();
    }

    /// <summary>A producer and a worker: two queues where the route joins processes, else one that is both.</summary>
    protected async Task<(TaskQueue Producer, TaskQueue Worker)> StartAsync(Func<Job, TaskContext, CancellationToken, ValueTask> handler,
        Action<HandlerOptions>? configure = null)
    {
        TaskQueue worker = await StartWorkerAsync(handler, configure);
        return (Harness.JoinsProcesses ? MakeProducer() : worker, worker);
    }

    protected async Task<TaskQueue> StartWorkerAsync(Func<Job, TaskContext, CancellationToken, ValueTask> handler,
        Action<HandlerOptions>? configure = null)
    {
        TaskQueueOptions options = Harness.MakeOptions().AddHandler(Name, handler, h =>
        {
            h.Concurrency = 1;
            h.FirstDelay = h.MaxDelay = TimeSpan.FromMilliseconds(1);
            configure?.Invoke(h);
        });
        foreach (Action<TaskQueueOptions> more in _toDeclare) more(options);
        TaskQueue worker = Keep(new TaskQueue(options));
        await worker.StartAsync();
        return worker;
    }

    protected TaskQueue MakeProducer() => Keep(new TaskQueue(Harness.MakeOptions().AddProducer<Job>(Name)));

    protected TaskQueue Keep(TaskQueue queue)
    {
        _queues.Add(queue);
        return queue;
    }

    protected static async Task Until(Func<bool> condition, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > Watchdog) Assert.Fail($"waited {Watchdog.TotalSeconds} s for: {what}");
            await Task.Delay(1);
        }
    }

    /// <summary>Counts how often something was seen.</summary>
    protected sealed class Tally
    {
        private readonly ConcurrentQueue<int> _seen = new();

        public IReadOnlyCollection<int> Seen => _seen;

        public int Count => _seen.Count;

        public void Add(int number) => _seen.Enqueue(number);

        public Task Reaches(int count) => Until(() => _seen.Count >= count, $"{count} tasks, {_seen.Count} were done");
    }

    [Test]
    public async Task Tasks_of_a_producer_are_done_in_order_by_one_worker()
    {
        Tally done = new();
        (TaskQueue producer, _) = await StartAsync((job, _, _) =>
        {
            done.Add(job.Number);
            return default;
        });
        for (int i = 0; i < 300; i++) await producer.EnqueueAsync(new Job(i));
        await done.Reaches(300);
        Assert.That(done.Seen, Is.EqualTo(Enumerable.Range(0, 300)));
    }

    [Test]
    public async Task A_batch_is_done_in_order_and_has_a_receipt_for_each()
    {
        Tally done = new();
        (TaskQueue producer, _) = await StartAsync((job, _, _) =>
        {
            done.Add(job.Number);
            return default;
        });
        IReadOnlyList<TaskReceipt> receipts = await producer.EnqueueManyAsync(Enumerable.Range(0, 500).Select(static i => new Job(i)));
        await done.Reaches(500);
        Assert.That(receipts.Select(static r => r.Id).Distinct().Count(), Is.EqualTo(500));
        Assert.That(done.Seen, Is.EqualTo(Enumerable.Range(0, 500)));
    }

    [Test]
    public async Task Without_faults_many_workers_do_each_task_once()
    {
        Tally done = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync(async (job, _, _) =>
        {
            await Task.Yield();
            done.Add(job.Number);
        }, static h => h.Concurrency = 4);
        await Task.WhenAll(Enumerable.Range(0, 4).Select(p => Task.Run(async () =>
        {
            for (int i = 0; i < 250; i++) await producer.EnqueueAsync(new Job(p * 250 + i));
        })));
        await done.Reaches(1000);
        await worker.StopAsync();
        Assert.That(done.Seen, Is.EquivalentTo(Enumerable.Range(0, 1000)));
    }

    [Test]
    public async Task A_failed_task_is_tried_again_with_its_attempts_counted_after_a_pause_that_doubles()
    {
        ConcurrentQueue<(int Attempt, long At, TaskId Id)> attempts = new();
        (TaskQueue producer, _) = await StartAsync((_, context, _) =>
        {
            attempts.Enqueue((context.Attempt, Stopwatch.GetTimestamp(), context.Id));
            return context.Attempt < 4 ? throw new IOException("not yet") : default;
        }, static h => { h.FirstDelay = TimeSpan.FromMilliseconds(50); h.MaxDelay = TimeSpan.FromSeconds(1); h.Jitter = 0; });
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1));
        await Until(() => attempts.Count == 4, "four attempts");
        (int Attempt, long At, TaskId Id)[] all = [.. attempts];
        Assert.That(all.Select(static a => a.Attempt), Is.EqualTo(new[] { 1, 2, 3, 4 }));
        Assert.That(all.Select(static a => a.Id), Is.All.EqualTo(receipt.Id));
        for (int i = 1; i < 4; i++)
            Assert.That(Stopwatch.GetElapsedTime(all[i - 1].At, all[i].At),
                Is.GreaterThanOrEqualTo(TimeSpan.FromMilliseconds(49 * (1 << (i - 1)))));
    }

    [Test]
    public async Task A_task_that_takes_too_long_is_cancelled_and_its_attempt_fails()
    {
        Tally attempts = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync(async (_, context, cancellationToken) =>
        {
            attempts.Add(context.Attempt);
            if (context.Attempt == 1) await Task.Delay(Timeout.Infinite, cancellationToken);
        }, static h => h.Timeout = TimeSpan.FromMilliseconds(50));
        await producer.EnqueueAsync(new Job(1));
        await attempts.Reaches(2);
        Assert.That(attempts.Seen, Is.EqualTo(new[] { 1, 2 }));
        await Until(() => worker.GetStatistics()[0].Completed == 1, "the second attempt to end well");
    }

    [Test]
    public async Task A_delayed_task_is_not_begun_before_its_time([Values] bool asATime)
    {
        TaskCompletionSource<long> begun = new();
        (TaskQueue producer, _) = await StartAsync((_, _, _) =>
        {
            begun.TrySetResult(Stopwatch.GetTimestamp());
            return default;
        });
        TimeSpan delay = TimeSpan.FromMilliseconds(300);
        long start = Stopwatch.GetTimestamp();
        await producer.EnqueueAsync(new Job(1),
            asATime ? new() { NotBefore = TimeProvider.System.GetUtcNow() + delay } : new() { Delay = delay });
        // The wall clock and the monotonic one may differ by some milliseconds.
        Assert.That(Stopwatch.GetElapsedTime(start, await begun.Task.WaitAsync(Watchdog)),
            Is.GreaterThanOrEqualTo(delay - TimeSpan.FromMilliseconds(asATime ? 50 : 0)));
    }

    [Test]
    public async Task A_delayed_task_blocks_no_task_behind_it()
    {
        Tally done = new();
        (TaskQueue producer, _) = await StartAsync((job, _, _) =>
        {
            done.Add(job.Number);
            return default;
        });
        await producer.EnqueueAsync(new Job(1), new() { Delay = TimeSpan.FromSeconds(3) });
        await producer.EnqueueAsync(new Job(2));
        await done.Reaches(2);
        Assert.That(done.Seen, Is.EqualTo(new[] { 2, 1 }));
    }

    [Test]
    public async Task A_recurring_task_repeats_after_each_end_and_failure_until_it_is_cancelled()
    {
        ConcurrentQueue<(long At, int Attempt)> times = new();
        (TaskQueue producer, _) = await StartAsync((_, context, _) =>
        {
            times.Enqueue((Stopwatch.GetTimestamp(), context.Attempt));
            return times.Count == 2 ? throw new IOException("this time not") : default;
        });
        TimeSpan every = TimeSpan.FromMilliseconds(100);
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { RepeatInterval = every });
        await Until(() => times.Count >= 4, "four times");
        // Between two times it is there to be taken back; asked while it ran, it is passed over the next time.
        List<CancelOutcome> answers = [];
        await Until(() =>
        {
            answers.Add(producer.CancelAsync(receipt).AsTask().Result);
            return answers[^1] != CancelOutcome.Requested;
        }, "the recurring task to be taken back");
        Assert.That(answers[^1] == CancelOutcome.Removed || answers[0] == CancelOutcome.Requested, Is.True, string.Join(", ", answers));
        (long At, int Attempt)[] all = [.. times];
        for (int i = 1; i < all.Length; i++)
            Assert.That(Stopwatch.GetElapsedTime(all[i - 1].At, all[i].At), Is.GreaterThanOrEqualTo(every - TimeSpan.FromMilliseconds(1)));
        Assert.That(all.Select(static t => t.Attempt), Is.All.EqualTo(1));
        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.NotFound));
        await Task.Delay(every * 5); // Time in which it would come again is what is tested.
        Assert.That(times, Has.Count.EqualTo(all.Length));
    }

    [Test]
    public async Task Filters_run_around_the_handler_in_their_order()
    {
        ConcurrentQueue<string> steps = new();
        _toDeclare.Add(o => o.AddFilter(_ => new Recording("outer", steps)).AddFilter(_ => new Recording("inner", steps)));
        (TaskQueue producer, _) = await StartAsync((job, _, _) =>
        {
            steps.Enqueue($"handler {job.Number}");
            return default;
        });
        await producer.EnqueueAsync(new Job(7));
        await Until(() => steps.Count == 5, "all steps");
        Assert.That(steps, Is.EqualTo(new[] { "outer before 7", "inner before 7", "handler 7", "inner after 7", "outer after 7" }));
    }

    private sealed class Recording(string name, ConcurrentQueue<string> steps) : ITaskFilter
    {
        public async ValueTask InvokeAsync(
            object task, TaskContext context, TaskContinuation continuation, CancellationToken cancellationToken)
        {
            steps.Enqueue($"{name} before {((Job)task).Number}");
            await continuation(cancellationToken);
            steps.Enqueue($"{name} after {((Job)task).Number}");
        }
    }

    [Test]
    public async Task A_trace_continues_from_the_producer_to_the_worker()
    {
        ConcurrentQueue<Activity> ended = new();
        using ActivityListener listener = new()
        {
            ShouldListenTo = static s => s.Name == "Otto.Queue",
            Sample = static (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = ended.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        TaskCompletionSource<ActivityTraceId> inside = new();
        (TaskQueue producer, _) = await StartAsync((_, _, _) =>
        {
            inside.TrySetResult(Activity.Current!.TraceId);
            return default;
        });
        using Activity root = new Activity("root").Start();
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1));
        Assert.That(await inside.Task.WaitAsync(Watchdog), Is.EqualTo(root.TraceId));
        await Until(() => ended.Any(a => a.OperationName == $"process {Name}"), "the worker's span");
        Activity send = ended.Single(a => a.OperationName == $"send {Name}"),
            process = ended.Single(a => a.OperationName == $"process {Name}");
        Assert.That((process.ParentSpanId, process.Links.Single().Context.SpanId), Is.EqualTo((send.SpanId, send.SpanId)));
        Assert.That(process.GetTagItem("messaging.message.id"), Is.EqualTo(receipt.Id.ToString()));
    }
}
