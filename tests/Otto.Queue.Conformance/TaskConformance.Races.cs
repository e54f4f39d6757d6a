namespace Otto.Queue.Conformance;

// Ends that cross each other: whoever waits hears of every end, and what was taken back stays so.

public abstract partial class TaskConformance
{
    private static readonly EnqueueOptions Wanted = new() { TrackResult = true };

    [Test]
    public async Task A_waiting_producer_gets_an_exception_when_another_process_cancels_its_task()
    {
        if (!Harness.JoinsProcesses) Assert.Ignore("there is no other process");
        TaskQueue producer = MakeProducer(), other = MakeProducer();
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), Wanted);
        Task waiting = producer.WaitAsync(receipt);
        Assert.That(await other.CancelAsync(Name, receipt.Id), Is.EqualTo(CancelOutcome.Removed));
        Assert.That(async () => await waiting.WaitAsync(Watchdog), Throws.TypeOf<TaskCanceledException>());
    }

    [Test]
    public async Task A_result_arrives_although_its_worker_stops_at_once()
    {
        if (!Harness.JoinsProcesses) Assert.Ignore("producer and worker stop together");
        TaskQueue producer = MakeProducer();
        for (int i = 0; i < 10; i++)
        {
            TaskCompletionSource ran = new(TaskCreationOptions.RunContinuationsAsynchronously);
            TaskQueue worker = await StartWorkerAsync((_, _, _) =>
            {
                ran.TrySetResult();
                return default;
            });
            TaskReceipt receipt = await producer.EnqueueAsync(new Job(i), Wanted);
            await ran.Task.WaitAsync(Watchdog);
            await worker.StopAsync().WaitAsync(Watchdog);
            await producer.WaitAsync(receipt).WaitAsync(Watchdog);
        }
    }

    [Test]
    public async Task A_waiting_producer_gets_an_exception_when_its_task_has_no_attempts_left()
    {
        if (!Harness.JoinsProcesses) Assert.Ignore("a message is only judged where it is read");
        TaskCompletionSource failed = new();
        (TaskQueue producer, TaskQueue patient) = await StartAsync((_, _, _) =>
        {
            failed.TrySetResult();
            throw new IOException("no");
        }, static h => { h.Retries = 5; h.FirstDelay = h.MaxDelay = TimeSpan.FromSeconds(3); h.Jitter = 0; });
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), Wanted);
        await failed.Task.WaitAsync(Watchdog);
        await patient.StopAsync();
        TaskQueue strict = await StartWorkerAsync(static (_, _, _) => default, static h => h.Retries = 0);
        Assert.That(async () => await producer.WaitAsync(receipt).WaitAsync(Watchdog),
            Throws.TypeOf<TaskFailedException>().With.Message.Contains("attempt 2 of at most 1"));
        Assert.That(strict.GetStatistics()[0].DeadLettered, Is.EqualTo(1));
    }

    [Test]
    public async Task Watching_a_task_that_is_over_ends()
    {
        (TaskQueue producer, TaskQueue worker) = await StartAsync(static (_, _, _) => default);
        for (int i = 1; i <= 20; i++)
        {
            TaskReceipt receipt = await producer.EnqueueAsync(new Job(i), Wanted);
            await Until(() => worker.GetStatistics()[0].Completed == i, "its end");
            await foreach (TaskProgress progress in Within(producer.ProgressAsync(receipt))) Assert.Fail($"a report of nobody: {progress}");
            await producer.WaitAsync(receipt).WaitAsync(Watchdog);
        }
    }

    [Test]
    public async Task Watching_a_task_ends_when_it_is_taken_back()
    {
        (TaskQueue producer, _) = await StartAsync(static (_, _, _) => default);
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true, Delay = TimeSpan.FromHours(1) });
        await using IAsyncEnumerator<TaskProgress> progress = producer.ProgressAsync(receipt).GetAsyncEnumerator();
        Task<bool> next = progress.MoveNextAsync().AsTask();
        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Removed));
        Assert.That(await next.WaitAsync(Watchdog), Is.False);
    }

    [Test]
    public async Task A_result_that_was_not_requested_is_no_other_tasks_result()
    {
        OddOnly filter = new();
        TaskQueue worker = Keep(new TaskQueue(Harness.MakeOptions().AddFilter(_ => filter)
            .AddHandler<Job, string>(Name, static (job, _, _) => new ValueTask<string>($"{job.Number}"), static h => h.Concurrency = 1)));
        await worker.StartAsync();
        TaskQueue producer = Harness.JoinsProcesses ? MakeProducer() : worker;
        await producer.EnqueueAsync(new Job(1));
        TaskReceipt passedOver = await producer.EnqueueAsync(new Job(2), Wanted);
        Assert.That(await producer.WaitAsync<string>(passedOver).WaitAsync(Watchdog), Is.Null);
    }

    [Test]
    public async Task A_task_that_was_taken_back_stays_so_through_a_stop()
    {
        TaskCompletionSource started = new(), finish = new();
        Tally done = new();
        (TaskQueue producer, TaskQueue first) = await StartAsync(async (job, _, _) =>
        {
            started.TrySetResult();
            if (job.Number == 0) await finish.Task;
            done.Add(job.Number);
        });
        await producer.EnqueueAsync(new Job(0));
        await started.Task.WaitAsync(Watchdog);
        TaskReceipt[] receipts = [await producer.EnqueueAsync(new Job(1)),
            await producer.EnqueueAsync(new Job(2), new() { Durability = Harness.Durability })];
        foreach (TaskReceipt receipt in receipts) Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Removed));

        Task<DrainReport> stop = first.StopAsync();
        finish.SetResult();
        Assert.That((await stop.WaitAsync(Watchdog)).TransferredTotal, Is.Zero);
        Assert.That(done.Seen, Is.EqualTo(new[] { 0 }));
    }

    private static async IAsyncEnumerable<TaskProgress> Within(IAsyncEnumerable<TaskProgress> progress)
    {
        await using IAsyncEnumerator<TaskProgress> each = progress.GetAsyncEnumerator();
        while (await each.MoveNextAsync().AsTask().WaitAsync(Watchdog)) yield return each.Current;
    }

    // Passes over the even.
    private sealed class OddOnly : ITaskFilter
    {
        public ValueTask InvokeAsync(object task, TaskContext context, TaskContinuation continuation, CancellationToken cancellationToken)
            => ((Job)task).Number % 2 == 0 ? default : continuation(cancellationToken);
    }
}
