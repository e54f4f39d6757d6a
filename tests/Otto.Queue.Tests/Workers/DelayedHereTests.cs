using System.Collections.Concurrent;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Workers;

/// <summary>Tasks that wait for their time in this process.</summary>
internal sealed class DelayedHereTests : QueueTest
{
    [Test]
    public async Task Tasks_of_one_time_of_day_keep_their_order()
    {
        ConcurrentQueue<int> done = new();
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", (job, _, _) =>
        {
            done.Enqueue(job.Number);
            return default;
        }, static h => h.Concurrency = 1));
        DateTimeOffset time = TimeProvider.System.GetUtcNow() + TimeSpan.FromMilliseconds(500);
        for (int i = 0; i < 1000; i++) await queue.EnqueueAsync(new Job(i), new() { NotBefore = time });
        await Eventually.Holds(() => done.Count == 1000);
        Assert.That(done, Is.EqualTo(Enumerable.Range(0, 1000)));
    }

    [Test]
    public async Task A_producer_of_delayed_tasks_waits_for_room([Values] bool cancelled)
    {
        TaskQueue queue = await StartAsync(InProcessOnly().UseInProcess(static o => { o.Capacity = 2; o.FullMode = QueueFullMode.Wait; })
            .AddHandler<Job>("jobs", static (_, _, _) => default));
        EnqueueOptions later = new() { Delay = cancelled ? TimeSpan.FromHours(1) : TimeSpan.FromMilliseconds(200) };
        TaskReceipt first = await queue.EnqueueAsync(new Job(1), later);
        await queue.EnqueueAsync(new Job(2), later);
        Task<TaskReceipt> third = queue.EnqueueAsync(new Job(3), later).AsTask();
        if (cancelled)
        {
            Assert.That(third.IsCompleted, Is.False);
            await queue.CancelAsync(first);
        }

        await third.Soon();
        if (!cancelled) await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 3);
    }

    [Test]
    public async Task An_overdue_task_is_done_by_the_stop()
    {
        TaskCompletionSource began = new(), finish = new();
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", async (_, _, _) =>
        {
            began.TrySetResult();
            await finish.Task;
        }, static h => h.Concurrency = 1));
        for (int i = 0; i < 50; i++) await queue.EnqueueAsync(new Job(i), new() { Delay = TimeSpan.FromMilliseconds(1) });
        await began.Task.Soon();
        await Task.Delay(20); // All of them are due.
        Task<DrainReport> stopping = queue.StopAsync();
        finish.SetResult();
        DrainReport report = await stopping.Soon();
        Assert.That((report.Lost, queue.GetStatistics()[0].Completed), Is.EqualTo((0, 50)));
    }
}
