namespace Otto.Queue.Conformance;

// Recurring tasks: cancelled at any moment, and replaced by another interval, payload or name.

public abstract partial class TaskConformance
{
    private static readonly TimeSpan Soon = TimeSpan.FromMilliseconds(50);

    private static EnqueueOptions Every(TimeSpan interval, string? key = "schedule") =>
        new() { RepeatInterval = interval, UniqueKey = key };

    /// <summary>How the run ends in which a recurring task is cancelled.</summary>
    public enum RunEnd
    {
        Returns,
        Throws,
        TimesOut,
        SeesItsToken,
    }

    [Test]
    public async Task A_recurring_task_that_is_cancelled_while_it_runs_never_comes_again([Values] RunEnd end, [Values] bool keyed)
    {
        TaskCompletionSource started = new(), finish = new();
        Tally runs = new();
        (TaskQueue producer, _) = await StartAsync(async (job, _, cancellationToken) =>
        {
            runs.Add(job.Number);
            started.TrySetResult();
            if (end == RunEnd.SeesItsToken) await Task.Delay(Timeout.Infinite, cancellationToken);
            await finish.Task;
            if (end == RunEnd.Throws) throw new IOException("not this time");
            if (end == RunEnd.TimesOut && job.Number == 1) await Task.Delay(Timeout.Infinite, cancellationToken);
        }, h => h.Timeout = end == RunEnd.TimesOut ? TimeSpan.FromMilliseconds(300) : null);
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), Every(Soon, keyed ? "k" : null));
        await started.Task.WaitAsync(Watchdog);

        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Requested));
        finish.SetResult();

        await Until(() => producer.CancelAsync(receipt).AsTask().Result == CancelOutcome.NotFound, "its run to end");
        await Until(() => producer.EnqueueAsync(new Job(2), new() { UniqueKey = "k" }).AsTask().Result.Outcome == EnqueueOutcome.Accepted,
            "the key to be free");
        await Until(() => runs.Seen.Contains(2), "the task behind it");
        await Task.Delay(Soon * 4); // Time in which it would come again is what is tested.
        Assert.That(runs.Seen.Count(static n => n == 1), Is.EqualTo(1));
        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.NotFound));
    }

    [Test]
    public async Task A_recurring_task_ends_at_whatever_moment_it_is_cancelled()
    {
        int[] runs = new int[40];
        (TaskQueue producer, _) = await StartAsync((job, _, _) =>
        {
            Interlocked.Increment(ref runs[job.Number]);
            return default;
        }, static h => h.Concurrency = 2);
        for (int i = 0; i < runs.Length; i++)
        {
            int round = i;
            TaskReceipt receipt = await producer.EnqueueAsync(new Job(i), Every(TimeSpan.FromMilliseconds(1), $"k{i}"));
            await Until(() => Volatile.Read(ref runs[round]) > round % 4, "some runs");
            Assert.That(await producer.CancelAsync(receipt), Is.Not.EqualTo(CancelOutcome.NotFound));
        }

        int[] before = [];
        await Until(() =>
        {
            // The last one may be in its last run.
            int[] now = [.. runs];
            bool still = before.SequenceEqual(now);
            before = now;
            Thread.Sleep(20);
            return still;
        }, "all runs to end");
        await Task.Delay(Soon * 4); // Time in which one would come again is what is tested.
        Assert.That(runs, Is.EqualTo(before));
    }

    [Test]
    public async Task The_same_schedule_is_a_duplicate_and_another_interval_or_payload_replaces_it()
    {
        Tally runs = new();
        (TaskQueue producer, _) = await StartAsync((job, _, _) =>
        {
            runs.Add(job.Number);
            return default;
        });
        TimeSpan day = TimeSpan.FromDays(1);
        TaskReceipt first = await producer.EnqueueAsync(new Job(1), Every(day));
        await runs.Reaches(1);
        TaskReceipt same = default;
        await Until(() => (same = producer.EnqueueAsync(new Job(1), Every(day)).AsTask().Result).Outcome == EnqueueOutcome.Duplicate,
            "the schedule to wait");
        Assert.That(same.Id, Is.EqualTo(first.Id));

        TaskReceipt payload = await producer.EnqueueAsync(new Job(2), Every(day));
        Assert.That((payload.Outcome, payload.Id == first.Id), Is.EqualTo((EnqueueOutcome.Replaced, false)));
        await Until(() => runs.Seen.Contains(2), "the new payload");
        await Until(() => producer.EnqueueAsync(new Job(2), Every(day)).AsTask().Result.Id == payload.Id, "the new one to wait");

        TaskReceipt interval = await producer.EnqueueAsync(new Job(2), Every(Soon));
        Assert.That((interval.Outcome, interval.Id == payload.Id), Is.EqualTo((EnqueueOutcome.Replaced, false)));
        await Until(() => runs.Seen.Count(static n => n == 2) >= 4, "the new interval");

        Assert.That(await producer.CancelAsync(first), Is.EqualTo(CancelOutcome.NotFound));
        Assert.That(await producer.CancelAsync(interval), Is.Not.EqualTo(CancelOutcome.NotFound));
        Assert.That(runs.Seen.Count(static n => n == 1), Is.EqualTo(1));
    }

    [Test]
    public async Task A_task_that_does_not_recur_neither_replaces_a_schedule_nor_is_replaced()
    {
        TaskCompletionSource finish = new();
        (TaskQueue producer, _) = await StartAsync(async (_, _, _) => await finish.Task);
        TaskReceipt schedule = await producer.EnqueueAsync(new Job(1), Every(Soon, "a"));
        TaskReceipt once = await producer.EnqueueAsync(new Job(1), new() { UniqueKey = "b" });
        Assert.That((await producer.EnqueueAsync(new Job(2), new() { UniqueKey = "a" })).Id, Is.EqualTo(schedule.Id));
        TaskReceipt refused = await producer.EnqueueAsync(new Job(2), Every(Soon, "b"));
        Assert.That((refused.Outcome, refused.Id), Is.EqualTo((EnqueueOutcome.Duplicate, once.Id)));
        Assert.That(await producer.CancelAsync(schedule), Is.Not.EqualTo(CancelOutcome.NotFound));
        finish.SetResult();
    }

    [Test]
    public async Task A_schedule_that_is_replaced_while_it_runs_ends_with_that_run_and_the_next_one_is_the_new_one()
    {
        TaskCompletionSource started = new(), finish = new();
        Tally runs = new();
        int running = 0, overlaps = 0;
        (TaskQueue producer, _) = await StartAsync(async (job, _, _) =>
        {
            if (Interlocked.Increment(ref running) > 1) Interlocked.Increment(ref overlaps);
            runs.Add(job.Number);
            started.TrySetResult();
            if (job.Number == 1) await finish.Task;
            Interlocked.Decrement(ref running);
        }, static h => h.Concurrency = 2);
        TaskReceipt old = await producer.EnqueueAsync(new Job(1), Every(Soon));
        await started.Task.WaitAsync(Watchdog);

        TaskReceipt added = await producer.EnqueueAsync(new Job(2), Every(Soon));
        Assert.That((added.Outcome, added.Id == old.Id), Is.EqualTo((EnqueueOutcome.Replaced, false)));
        Assert.That((await producer.EnqueueAsync(new Job(2), Every(Soon))).Id, Is.EqualTo(added.Id), "the same once more");
        await Task.Delay(Soon * 3); // The new one is due meanwhile.
        finish.SetResult();

        await runs.Reaches(4);
        Assert.That(runs.Seen.Take(4), Is.EqualTo(new[] { 1, 2, 2, 2 }));
        Assert.That(overlaps, Is.Zero, "one schedule at a time");
        await Until(() => producer.CancelAsync(added).AsTask().Result == CancelOutcome.NotFound, "the new one to end");
        await Until(() => producer.EnqueueAsync(new Job(3), new() { UniqueKey = "schedule" }).AsTask().Result.Outcome
            == EnqueueOutcome.Accepted, "the key to be free");
    }

    [Test]
    public async Task A_schedule_that_is_replaced_before_it_begins_does_not_run()
    {
        TaskCompletionSource started = new(), finish = new();
        Tally runs = new();
        (TaskQueue producer, _) = await StartAsync(async (job, _, _) =>
        {
            runs.Add(job.Number);
            if (job.Number != 0) return;
            started.TrySetResult();
            await finish.Task;
        }, static h => h.Concurrency = 1);
        await producer.EnqueueAsync(new Job(0));
        await started.Task.WaitAsync(Watchdog);
        TimeSpan day = TimeSpan.FromDays(1);
        for (int i = 1; i <= 9; i++) await producer.EnqueueAsync(new Job(i), Every(i < 9 ? day : Soon));
        finish.SetResult();

        await Until(() => runs.Seen.Count(static n => n == 9) >= 3, "the last one");
        Assert.That(runs.Seen.Where(static n => n != 9), Is.EqualTo(new[] { 0 }));
    }

    [Test]
    public async Task Of_many_schedules_that_replace_each_other_while_the_first_runs_only_the_last_one_follows()
    {
        TaskCompletionSource started = new(), finish = new();
        Tally runs = new();
        int running = 0, overlaps = 0;
        (TaskQueue producer, _) = await StartAsync(async (job, _, _) =>
        {
            if (Interlocked.Increment(ref running) > 1) Interlocked.Increment(ref overlaps);
            runs.Add(job.Number);
            started.TrySetResult();
            if (job.Number == 1) await finish.Task;
            Interlocked.Decrement(ref running);
        }, static h => h.Concurrency = 4);
        await producer.EnqueueAsync(new Job(1), Every(Soon));
        await started.Task.WaitAsync(Watchdog);
        for (int i = 2; i <= 9; i++)
            Assert.That((await producer.EnqueueAsync(new Job(i), Every(Soon))).Outcome, Is.EqualTo(EnqueueOutcome.Replaced));
        await Task.Delay(Soon * 3); // Each would be due meanwhile.
        finish.SetResult();

        await runs.Reaches(4);
        Assert.That(runs.Seen.Take(4), Is.EqualTo(new[] { 1, 9, 9, 9 }));
        Assert.That(overlaps, Is.Zero, "one schedule at a time");
    }

    [Test]
    public async Task A_schedule_that_is_enqueued_again_after_it_was_cancelled_in_a_run_goes_on()
    {
        TaskCompletionSource started = new(), finish = new();
        Tally runs = new();
        (TaskQueue producer, _) = await StartAsync(async (job, _, _) =>
        {
            runs.Add(job.Number);
            started.TrySetResult();
            await finish.Task;
        });
        TaskReceipt first = await producer.EnqueueAsync(new Job(1), Every(Soon));
        await started.Task.WaitAsync(Watchdog);
        Assert.That(await producer.CancelAsync(first), Is.EqualTo(CancelOutcome.Requested));

        TaskReceipt again = await producer.EnqueueAsync(new Job(1), Every(Soon));
        Assert.That((again.Outcome == EnqueueOutcome.Duplicate, again.Id == first.Id), Is.EqualTo((false, false)));
        finish.SetResult();

        await runs.Reaches(4);
    }
}
