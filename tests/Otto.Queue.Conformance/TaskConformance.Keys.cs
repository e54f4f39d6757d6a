namespace Otto.Queue.Conformance;

// Keys and cancelling: not twice, and not at all.

public abstract partial class TaskConformance
{
    private static readonly EnqueueOptions Keyed = new() { UniqueKey = "the only one" };

    [Test]
    public async Task A_key_refuses_a_second_task_while_one_is_pending_or_running_and_no_longer()
    {
        TaskCompletionSource started = new(), finish = new();
        Tally done = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync(async (job, _, _) =>
        {
            if (job.Number == 0) await finish.Task;
            else if (job.Number == 1) started.TrySetResult();
            done.Add(job.Number);
        });
        await producer.EnqueueAsync(new Job(0));
        TaskReceipt first = await producer.EnqueueAsync(new Job(1), Keyed);
        TaskReceipt second = await producer.EnqueueAsync(new Job(2), Keyed);
        Assert.That((first.Outcome, second.Outcome, second.Id), Is.EqualTo((EnqueueOutcome.Accepted, EnqueueOutcome.Duplicate, first.Id)));
        Assert.That((await producer.EnqueueAsync(new Job(3), new() { UniqueKey = "another" })).Outcome,
            Is.EqualTo(EnqueueOutcome.Accepted));

        finish.SetResult();
        await started.Task.WaitAsync(Watchdog);
        await Until(() => producer.EnqueueAsync(new Job(4), Keyed).AsTask().Result.Outcome == EnqueueOutcome.Accepted,
            "the key to be free again");
        await done.Reaches(4);
        Assert.That(done.Seen, Is.EquivalentTo(new[] { 0, 1, 3, 4 }));
        await Until(() => worker.GetStatistics()[0].Completed == 4, "all to be over");
    }

    [Test]
    public async Task A_key_is_taken_while_its_task_runs()
    {
        TaskCompletionSource started = new(), finish = new();
        (TaskQueue producer, _) = await StartAsync(async (_, _, _) =>
        {
            started.TrySetResult();
            await finish.Task;
        });
        TaskReceipt first = await producer.EnqueueAsync(new Job(1), Keyed);
        await started.Task.WaitAsync(Watchdog);
        TaskReceipt second = await producer.EnqueueAsync(new Job(2), Keyed);
        finish.SetResult();
        Assert.That((second.Outcome, second.Id), Is.EqualTo((EnqueueOutcome.Duplicate, first.Id)));
    }

    [Test]
    public async Task Of_many_enqueues_of_the_same_key_at_once_one_is_accepted()
    {
        TaskCompletionSource finish = new();
        (TaskQueue producer, _) = await StartAsync(async (_, _, _) => await finish.Task);
        TaskQueue[] producers = Harness.JoinsProcesses ? [producer, MakeProducer()] : [producer];
        for (int round = 0; round < 20; round++)
        {
            TaskReceipt[] receipts =
                await Task.WhenAll(Enumerable.Range(0, 8).Select(
                    i => Task.Run(() =>
                    producers[i % producers.Length].EnqueueAsync(new Job(i), new() { UniqueKey = $"k{round}" }).AsTask())));
            Assert.That(receipts.Count(static r => r.Outcome == EnqueueOutcome.Accepted), Is.EqualTo(1));
            Assert.That(receipts.Select(static r => r.Id).Distinct().Count(), Is.EqualTo(1), "the others are told which it is");
        }

        finish.SetResult();
    }

    [Test]
    public async Task A_key_stays_taken_through_a_back_off_and_is_free_when_the_task_is_given_up()
    {
        TaskCompletionSource failed = new(), refused = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync(async (_, context, _) =>
        {
            failed.TrySetResult();
            if (context.Attempt > 1) await refused.Task;
            throw new IOException("no");
        }, static h => { h.Retries = 1; h.FirstDelay = h.MaxDelay = TimeSpan.FromMilliseconds(500); h.Jitter = 0; });
        await producer.EnqueueAsync(new Job(1), Keyed);
        await failed.Task.WaitAsync(Watchdog);
        await Until(() => worker.GetStatistics()[0].Retried == 1, "the back-off to begin");
        Assert.That((await producer.EnqueueAsync(new Job(2), Keyed)).Outcome, Is.EqualTo(EnqueueOutcome.Duplicate));
        refused.SetResult();
        await Until(() => producer.EnqueueAsync(new Job(3), Keyed).AsTask().Result.Outcome == EnqueueOutcome.Accepted,
            "the key to be free");
    }

    [Test]
    public async Task A_task_that_no_worker_has_begun_is_removed_and_its_key_is_free([Values] bool delayed)
    {
        TaskCompletionSource started = new(), finish = new();
        Tally done = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync(async (job, _, _) =>
        {
            if (job.Number == 0) started.TrySetResult();
            if (job.Number == 0) await finish.Task;
            done.Add(job.Number);
        });
        await producer.EnqueueAsync(new Job(0));
        await started.Task.WaitAsync(Watchdog);
        TaskReceipt receipt =
            await producer.EnqueueAsync(new Job(1), new() { UniqueKey = "k", Delay = delayed ? TimeSpan.FromHours(1) : TimeSpan.Zero });

        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Removed));
        finish.SetResult();

        await Until(() => producer.EnqueueAsync(new Job(2), new() { UniqueKey = "k" }).AsTask().Result.Outcome == EnqueueOutcome.Accepted,
            "the key to be free");
        await done.Reaches(2);
        Assert.That(done.Seen, Is.EqualTo(new[] { 0, 2 }));
        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.NotFound));
    }

    [Test]
    public async Task A_running_task_that_is_cancelled_is_notified_and_not_retried()
    {
        TaskCompletionSource started = new();
        TaskCompletionSource<bool> told = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync(async (job, _, cancellationToken) =>
        {
            if (job.Number != 1) return;
            started.TrySetResult();
            try
            {
                await Task.Delay(Timeout.Infinite, cancellationToken);
            }
            finally
            {
                told.TrySetResult(cancellationToken.IsCancellationRequested);
            }
        });
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1));
        await started.Task.WaitAsync(Watchdog);

        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Requested));

        Assert.That(await told.Task.WaitAsync(Watchdog), Is.True);
        await producer.EnqueueAsync(new Job(2));
        await Until(() => worker.GetStatistics()[0].Completed == 1, "the next task");
        QueueStatistics numbers = worker.GetStatistics()[0];
        Assert.That((numbers.Retried, numbers.DeadLettered, numbers.Lost, numbers.Cancelled), Is.EqualTo((0, 0, 0, 1)));
        await Until(() => producer.CancelAsync(receipt).AsTask().Result == CancelOutcome.NotFound, "its end to arrive at the route");
    }

    [Test]
    public async Task Beside_a_worker_every_task_is_completed_removed_or_notified()
    {
        Tally done = new();
        (TaskQueue producer, TaskQueue worker) = await StartAsync(async (job, _, _) =>
        {
            await Task.Yield();
            done.Add(job.Number);
        }, static h => h.Concurrency = 2);
        int removed = 0, requested = 0;
        for (int i = 0; i < 300; i++)
        {
            TaskReceipt receipt = await producer.EnqueueAsync(new Job(i));
            if (i % 2 != 0) continue;
            CancelOutcome outcome = await producer.CancelAsync(receipt);
            if (outcome == CancelOutcome.Removed) removed++;
            else if (outcome == CancelOutcome.Requested) requested++;
        }

        // What was taken back from a route its worker never saw.
        await Until(() => worker.GetStatistics()[0] is var n && n.Completed + n.Cancelled + (Harness.JoinsProcesses ? removed : 0) == 300,
            "every task to be over");
        await worker.StopAsync();
        // One that a worker held and had not begun is passed over; one that it had begun ends as its handler likes.
        Assert.That(done.Count, Is.InRange(300 - removed - requested, 300 - removed));
        Assert.That(done.Seen.Distinct().Count(), Is.EqualTo(done.Count));
    }
}
