using System.Collections.Concurrent;

namespace Otto.Queue.Conformance;

// Handlers that wait for tasks: refused where the wait could never end, and only there.

public abstract partial class TaskConformance
{
    public sealed record Child(int Number);

    [Test]
    public async Task A_handler_that_waits_for_a_task_of_its_own_full_queue_is_told_so([Values(1, 2)] int concurrency)
    {
        ConcurrentQueue<string> refused = new();
        using CountdownEvent free = new(concurrency);
        TaskCompletionSource full = new(TaskCreationOptions.RunContinuationsAsynchronously);
        _toDeclare.Add(o => o.AddHandler<Child>($"{Name}-child", static (_, _, _) => default, h =>
        {
            h.Queue = Name;
            h.Serializer = Json;
            h.Concurrency = concurrency;
        }));
        (TaskQueue producer, _) = await StartAsync(async (job, context, cancellationToken) =>
        {
            // Before every place is held by such a handler, a child that came in between could have one.
            if (free.Signal()) full.SetResult();
            await full.Task;
            try
            {
                await context.TaskQueue.InvokeAsync<object?>(new Child(job.Number), cancellationToken: cancellationToken);
            }
            catch (QueueDeadlockException e)
            {
                refused.Enqueue(e.Message);
            }
        }, h => h.Concurrency = concurrency);
        for (int i = 0; i < concurrency; i++) await producer.EnqueueAsync(new Job(i));
        await Until(() => !refused.IsEmpty, "a wait to be refused");
        Assert.That(refused.First(), Does.Contain($"queue '{Name}' runs {concurrency} at a time here").And.Contain("raise Concurrency"));
        await Until(() => _queues.Sum(static q => q.GetStatistics()[0].Completed) == concurrency * 2, "all tasks to be done all the same");
    }

    [Test]
    public async Task A_handler_that_waits_for_a_queue_with_room_is_not_refused()
    {
        Tally done = new();
        _toDeclare.Add(o => o.AddHandler<Child>($"{Name}-child", async (child, _, _) =>
        {
            await Task.Delay(1500, CancellationToken.None); // Longer than a deadlock takes to be seen.
            done.Add(child.Number);
        }, h =>
        {
            h.Queue = Name;
            h.Serializer = Json;
            h.Concurrency = 2;
        }));
        (TaskQueue producer, TaskQueue worker) = await StartAsync(async (job, context, cancellationToken) =>
            await context.TaskQueue.InvokeAsync<object?>(new Child(job.Number), cancellationToken: cancellationToken),
            static h => h.Concurrency = 2);
        await producer.EnqueueAsync(new Job(1));
        await done.Reaches(1);
        await Until(() => worker.GetStatistics()[0].Completed == 2, "both to be done");
        Assert.That(worker.GetStatistics()[0].Failed, Is.Zero);
    }

    [Test]
    public async Task Queues_whose_handlers_wait_for_each_other_are_told_so()
    {
        int refused = 0;
        string other = $"{Name}-other";
        _toDeclare.Add(o => o.AddHandler<Child>(other, async (child, context, cancellationToken) =>
        {
            if (child.Number > 0)
            {
                TaskReceipt job = await context.TaskQueue.EnqueueAsync(new Job(0), new() { TrackResult = true }, cancellationToken);
                await context.TaskQueue.WaitAsync(job, cancellationToken);
            }
        }, static h => { h.Concurrency = 1; h.Retries = 0; h.Serializer = Json; }));
        (TaskQueue producer, _) = await StartAsync(async (job, context, cancellationToken) =>
        {
            if (job.Number == 0) return;
            try
            {
                await context.TaskQueue.InvokeAsync<object?>(new Child(1), cancellationToken: cancellationToken);
            }
            catch (Exception e) when (e is QueueDeadlockException
                || e is TaskFailedException && e.Message.Contains("would never end", StringComparison.Ordinal))
            {
                Interlocked.Increment(ref refused);
            }
        });
        await producer.EnqueueAsync(new Job(1));
        await Until(() => Volatile.Read(ref refused) == 1, "the circle to be seen");
    }

    [Test]
    public async Task Of_many_tasks_each_has_a_receipt_or_an_error()
    {
        Tally done = new();
        (TaskQueue producer, _) = await StartAsync((job, _, _) =>
        {
            done.Add(job.Number);
            return default;
        });
        IEnumerable<Job> Tasks()
        {
            for (int i = 0; i < 300; i++) yield return i is 10 or 200 ? null! : new Job(i);
            throw new IOException("no more of them");
        }

        EnqueueManyException? e = null;
        try
        {
            await producer.EnqueueManyAsync(Tasks());
        }
        catch (EnqueueManyException thrown)
        {
            e = thrown;
        }

        Assert.That(e!.Results, Has.Count.EqualTo(300));
        Assert.That(e.Results.Select(static (r, i) => (r.IsEnqueued, i)).Where(static r => !r.IsEnqueued).Select(static r => r.i),
            Is.EqualTo(new[] { 10, 200 }));
        Assert.That(e.Results[10].Error, Is.InstanceOf<ArgumentNullException>());
        Assert.That(e.InnerExceptions[^1].Message, Is.EqualTo("no more of them"));
        // Short in a log, however many were refused.
        Assert.That(e.Message, Does.StartWith("298 tasks of this call were enqueued and 2 were not").And.Contains("2 x "));
        Assert.That(e.ToString(), Has.Length.LessThan(6000).And.Contains("ArgumentNullException"));
        await done.Reaches(298);
        Assert.That(e.Results.Where(static r => r.IsEnqueued).Select(static r => r.Receipt.Id).Distinct().Count(), Is.EqualTo(298));
    }
}
