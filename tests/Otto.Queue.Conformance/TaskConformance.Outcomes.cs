using System.Collections.Concurrent;

namespace Otto.Queue.Conformance;

// How tasks end: with a result, among the dead, or handed over by a stop.

public abstract partial class TaskConformance
{
    [Test]
    public async Task A_producer_gets_the_result_that_it_waits_for()
    {
        TaskQueue worker = await StartWorkerWithResultAsync(static async (job, _, _) =>
        {
            await Task.Yield();
            return $"{job.Number * 2}";
        });
        TaskQueue producer = Harness.JoinsProcesses ? MakeProducer() : worker;
        for (int i = 0; i < 20; i++)
        {
            TaskReceipt receipt = await producer.EnqueueAsync(new Job(i), new() { TrackResult = true });
            Assert.That(await producer.WaitAsync<string>(receipt).WaitAsync(Watchdog), Is.EqualTo($"{i * 2}"));
        }

        TaskReceipt unasked = await producer.EnqueueAsync(new Job(1));
        Assert.That(async () => await producer.WaitAsync<string>(unasked),
            Throws.InstanceOf<ResultNotFoundException>().With.Message.Contains("TrackResult"));
    }

    [Test]
    public async Task A_wait_with_another_type_leaves_the_result_to_the_next_and_one_that_never_was_is_not_found()
    {
        TaskQueue worker = await StartWorkerWithResultAsync(static (job, _, _) => new ValueTask<string>($"{job.Number}"));
        TaskQueue producer = Harness.JoinsProcesses ? MakeProducer() : worker;
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(7), new() { TrackResult = true });
        Assert.That(async () => await producer.WaitAsync<List<int>>(receipt).WaitAsync(Watchdog), Throws.Exception);
        Assert.That(await producer.WaitAsync<string>(receipt).WaitAsync(Watchdog), Is.EqualTo("7"));
        Assert.That(async () => await producer.WaitAsync<string>(receipt).WaitAsync(Watchdog), Throws.TypeOf<ResultNotFoundException>());
        if (Harness.JoinsProcesses)
            Assert.That(async () => await producer.WaitAsync<string>(Name, new TaskId(1, 2)).WaitAsync(Watchdog),
                Throws.TypeOf<ResultNotFoundException>());
    }

    [Test]
    public async Task One_call_sends_a_task_and_returns_its_result()
    {
        TaskCompletionSource started = new(), finish = new();
        TaskQueue worker = await StartWorkerWithResultAsync(async (job, _, _) =>
        {
            if (job.Number == 0) throw new IOException("no such file");
            if (job.Number > 0) return $"{job.Number * 2}";
            started.TrySetResult();
            await finish.Task;
            return "";
        });
        TaskQueue producer = Harness.JoinsProcesses ? MakeProducer() : worker;
        string[] results = await Task.WhenAll(Enumerable.Range(1, 50).Select(i => producer.InvokeAsync<string>(new Job(i))))
            .WaitAsync(Watchdog);
        Assert.That(results, Is.EqualTo(Enumerable.Range(1, 50).Select(static i => $"{i * 2}")));

        Assert.That(async () => await producer.InvokeAsync<string>(new Job(0)).WaitAsync(Watchdog),
            Throws.TypeOf<TaskFailedException>().With.Message.Contains("attempt 2 of 2: IOException: no such file"));
        Assert.That(async () => await producer.InvokeAsync<string>("text"),
            Throws.InvalidOperationException.With.Message.Contains("no task is declared with the type System.String"));

        using CancellationTokenSource stop = new();
        Task<string> endless = producer.InvokeAsync<string>(new Job(-1), cancellationToken: stop.Token);
        await started.Task.WaitAsync(Watchdog);
        await stop.CancelAsync();
        Assert.That(async () => await endless.WaitAsync(Watchdog),
            Throws.InstanceOf<OperationCanceledException>().With.Property("CancellationToken").EqualTo(stop.Token));
        finish.SetResult();
        await producer.DrainAsync().WaitAsync(Watchdog);
        Assert.That(worker.GetStatistics()[0].Completed, Is.EqualTo(51), "the task itself was left alone");
    }

    [Test]
    public async Task A_drain_ends_when_every_task_has_ended()
    {
        Tally done = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync((job, context, _) =>
        {
            if (job.Number % 100 == 0 && context.Attempt == 1) throw new IOException("once more");
            done.Add(job.Number);
            return default;
        }, static h => h.Concurrency = 4);

        await producer.EnqueueManyAsync(Enumerable.Range(0, 2000).Select(static i => new Job(i)));
        await Task.WhenAll(producer.DrainAsync(), worker.DrainAsync()).WaitAsync(Watchdog);

        Assert.That(done.Seen.Order(), Is.EqualTo(Enumerable.Range(0, 2000)));
    }

    [Test]
    public async Task A_result_larger_than_a_slot_arrives_whole()
    {
        string large = new('ü', 100_000);
        TaskQueue worker = await StartWorkerWithResultAsync((_, _, _) => new ValueTask<string>(large));
        TaskQueue producer = Harness.JoinsProcesses ? MakeProducer() : worker;
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        Assert.That(await producer.WaitAsync<string>(receipt).WaitAsync(Watchdog), Is.EqualTo(large));
    }

    [Test]
    public async Task A_waiting_producer_gets_an_exception_when_the_task_fails_or_is_cancelled()
    {
        TaskCompletionSource started = new();
        TaskQueue worker = await StartWorkerWithResultAsync(async (job, _, cancellationToken) =>
        {
            if (job.Number == 1) throw new IOException("no such file");
            started.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
            return "";
        });
        TaskQueue producer = Harness.JoinsProcesses ? MakeProducer() : worker;
        TaskReceipt bad = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        Assert.That(async () => await producer.WaitAsync<string>(bad).WaitAsync(Watchdog),
            Throws.TypeOf<TaskFailedException>().With.Message.Contains("attempt 2 of 2: IOException: no such file"));

        TaskReceipt running = await producer.EnqueueAsync(new Job(2), new() { TrackResult = true });
        await started.Task.WaitAsync(Watchdog);
        TaskReceipt pending = await producer.EnqueueAsync(new Job(3), new() { TrackResult = true });
        Assert.That(await producer.CancelAsync(pending), Is.EqualTo(CancelOutcome.Removed));
        Assert.That(await producer.CancelAsync(running), Is.EqualTo(CancelOutcome.Requested));
        foreach (TaskReceipt receipt in (TaskReceipt[])[pending, running])
            Assert.That(async () => await producer.WaitAsync<string>(receipt).WaitAsync(Watchdog),
                Throws.TypeOf<TaskCanceledException>());
    }

    [Test]
    public async Task A_task_without_a_result_can_be_waited_for()
    {
        (TaskQueue producer, TaskQueue worker) = await StartAsync(static (_, _, _) => default);
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        await producer.WaitAsync(receipt).WaitAsync(Watchdog);
        await Until(() => worker.GetStatistics()[0].Completed == 1, "the worker to count it");
    }

    [Test]
    public async Task Progress_is_seen_by_its_watchers()
    {
        TaskCompletionSource watching = new();
        (TaskQueue producer, _) = await StartAsync(async (_, context, _) =>
        {
            await watching.Task;
            for (int i = 1; i <= 10; i++)
            {
                context.ReportProgress(i, 10, $"step {i}");
                await Task.Delay(20, CancellationToken.None);
            }
        });
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        ConcurrentQueue<TaskProgress> seen = new();
        IAsyncEnumerator<TaskProgress> progress = producer.ProgressAsync(receipt).GetAsyncEnumerator();
        ValueTask<bool> first = progress.MoveNextAsync();
        // Subscribing to another process's notices takes a moment: begun with the first question, so the
        // handler is let go once that is under way.
        await producer.CancelAsync(Name, default);
        watching.SetResult();
        for (bool more = await first.AsTask().WaitAsync(Watchdog); more; more = await progress.MoveNextAsync().AsTask().WaitAsync(Watchdog))
            seen.Enqueue(progress.Current);
        await progress.DisposeAsync();

        Assert.That(seen.Select(static p => p.Done), Is.Ordered.Ascending.And.Not.Empty);
        Assert.That(seen.Last(), Is.EqualTo(new TaskProgress(receipt.Id, 10, 10, "step 10")),
            "the last is never held back, and the result ends the watching");
        await producer.WaitAsync(receipt).WaitAsync(Watchdog);
    }

    [Test]
    public async Task A_task_past_its_attempts_becomes_a_dead_letter_with_the_error_and_can_be_requeued_or_deleted()
    {
        bool works = false;
        Tally done = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync((job, context, _) =>
        {
            if (!Volatile.Read(ref works)) throw new IOException($"no {job.Number}");
            done.Add(job.Number);
            return default;
        }, static h => h.Retries = 1);
        TaskReceipt[] receipts = [await producer.EnqueueAsync(new Job(1)), await producer.EnqueueAsync(new Job(2))];
        if (!Harness.KeepsDeadLetters)
        {
            await Until(() => worker.GetStatistics()[0].Lost == 2, "two tasks counted as lost, since nothing here keeps them");
            Assert.That(await worker.DeadLetters.ListAsync(), Is.Empty);
            return;
        }

        await Until(() => producer.DeadLetters.ListAsync().AsTask().Result.Count == 2, "two dead letters");
        IReadOnlyList<DeadLetteredTask> dead = await producer.DeadLetters.ListAsync();
        Assert.That(dead.Select(static d => (d.Id, d.Name, d.Attempts, d.Reason)),
            Is.EquivalentTo(receipts.Select(
                (r, i) => (r.Id, Name, Harness.CountsAttemptsOfTheDead ? 2 : 1, $"attempt 2 of 2: IOException: no {i + 1}"))));
        Volatile.Write(ref works, true);
        DeadLetteredTask first = dead.Single(d => d.Id == receipts[0].Id), second = dead.Single(d => d.Id == receipts[1].Id);
        Assert.That((await producer.DeadLetters.RequeueAsync(first), await producer.DeadLetters.RequeueAsync(first)),
            Is.EqualTo((true, false)));
        Assert.That((await producer.DeadLetters.DeleteAsync(second), await producer.DeadLetters.DeleteAsync(second)),
            Is.EqualTo((true, false)));
        await done.Reaches(1);
        Assert.That(done.Seen, Is.EqualTo(new[] { 1 }));
        Assert.That(await producer.DeadLetters.ListAsync(), Is.Empty);
    }

    [Test]
    public async Task A_stop_finishes_what_runs_and_leaves_the_rest_for_the_next_worker()
    {
        TaskCompletionSource started = new(), finish = new();
        Tally done = new();
        (TaskQueue producer, TaskQueue first) = await StartAsync(async (job, _, _) =>
        {
            if (job.Number == 0)
            {
                started.TrySetResult();
                await finish.Task;
            }

            done.Add(job.Number);
        });
        for (int i = 0; i < 50; i++) await producer.EnqueueAsync(new Job(i));
        await started.Task.WaitAsync(Watchdog);

        Task<DrainReport> stop = first.StopAsync();
        // Refused for another reason before the stop has begun.
        if (Harness.JoinsProcesses) await Until(() => Refusal(first) is QueueStoppedException, "the stop to begin");
        finish.SetResult();
        DrainReport report = await stop.WaitAsync(Watchdog);
        Assert.That((report.Lost, report.StillRunning), Is.EqualTo((0, 0)));
        if (Harness.JoinsProcesses) Assert.That(done.Seen, Is.EqualTo(new[] { 0 }), "a stop begins nothing");
        // In process alone the rest is run here; where there is a segment beneath, what was not begun lies there.
        if (Harness.JoinsProcesses || report.TransferredTotal > 0)
        {
            await StartWorkerAsync((job, context, _) =>
            {
                Assert.That(context.Attempt, Is.EqualTo(1));
                done.Add(job.Number);
                return default;
            });
        }

        await done.Reaches(50);
        Assert.That(done.Seen, Is.EqualTo(Enumerable.Range(0, 50)));
    }

    [Test]
    public async Task A_task_that_the_deadline_of_a_stop_interrupts_is_not_counted_against()
    {
        if (!Harness.JoinsProcesses) Assert.Ignore("a task of one process alone has nowhere to go");
        TaskCompletionSource started = new();
        TaskCompletionSource<int> attempt = new();
        (TaskQueue producer, TaskQueue first) = await StartAsync(async (_, _, cancellationToken) =>
        {
            started.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        });
        await producer.EnqueueAsync(new Job(1));
        await started.Task.WaitAsync(Watchdog);
        DrainReport report = await first.StopAsync(new CancellationToken(canceled: true)).WaitAsync(Watchdog);
        Assert.That((report.TransferredTotal, report.Lost), Is.EqualTo((1, 0)));
        await StartWorkerAsync((_, context, _) =>
        {
            attempt.TrySetResult(context.Attempt);
            return default;
        });
        Assert.That(await attempt.Task.WaitAsync(Watchdog), Is.EqualTo(1));
    }

    private static Exception? Refusal(TaskQueue queue)
    {
        try
        {
            queue.EnqueueAsync(new Job(-1), new() { Route = RouteName.InProcess }).AsTask().Wait(Watchdog);
            return null;
        }
        catch (AggregateException e)
        {
            return e.InnerException;
        }
    }

    private async Task<TaskQueue> StartWorkerWithResultAsync(Func<Job, TaskContext, CancellationToken, ValueTask<string>> handler)
    {
        TaskQueue worker = Keep(
            new TaskQueue(Harness.MakeOptions().AddHandler(Name, handler,
                static h => { h.Concurrency = 1; h.Retries = 1; h.FirstDelay = h.MaxDelay = TimeSpan.FromMilliseconds(1); })));
        await worker.StartAsync();
        return worker;
    }
}
