using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Fundamentals;

/// <summary>Shared memory is on by default: it keeps tasks until somebody comes, and through a stop.</summary>
internal sealed class T2_A_task_outlives_its_process : QueueTest
{
    [Test]
    public async Task A_producer_without_a_worker_leaves_its_tasks_in_the_segment()
    {
        TaskQueue producer = Make(Options().AddProducer<ResizePhoto>("photos.resize"));
        TaskReceipt receipt = await producer.EnqueueAsync(new ResizePhoto("a.jpg"));
        Assert.That((receipt.Route, receipt.Reason), Is.EqualTo((RouteName.SharedMemory, "no worker is known: the segment keeps it")));
        await producer.DisposeAsync();

        TaskCompletionSource<ResizePhoto> arrived = new();
        await StartAsync(Options().AddHandler<ResizePhoto>("photos.resize", (task, _, _) =>
        {
            arrived.SetResult(task);
            return ValueTask.CompletedTask;
        }));

        Assert.That(await arrived.Task.Soon(), Is.EqualTo(new ResizePhoto("a.jpg")));
    }

    [Test]
    public async Task A_worker_in_another_process_is_found()
    {
        using PeerProcess worker = PeerProcess.Start("work", Segments, "jobs");
        await worker.SaysAsync("ready");
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));

        TaskReceipt receipt = await producer.EnqueueAsync(BitConverter.GetBytes(42));

        Assert.That((receipt.Route, receipt.Reason), Is.EqualTo((RouteName.SharedMemory, "worker attached on this machine")));
        await worker.SaysAsync("done 42 attempt 1");
        await worker.StopAsync();
        await worker.SaysAsync("stopped completed");
        Assert.That(worker.Lines.Last(), Does.EndWith("handed 0 lost 0"));
    }

    [Test]
    public async Task A_durable_task_is_in_the_segment_before_its_object_is_handed_over()
    {
        TaskCompletionSource<ResizePhoto> arrived = new();
        TaskCompletionSource finish = new();
        TaskQueue queue = await StartAsync(Options().AddHandler<ResizePhoto>("photos.resize", async (task, _, _) =>
        {
            arrived.SetResult(task);
            await finish.Task;
        }));
        ResizePhoto photo = new("a.jpg");

        TaskReceipt receipt = await queue.EnqueueAsync(photo, new() { Durability = Durability.Process });

        Assert.That((receipt.Route, receipt.Reason),
            Is.EqualTo((RouteName.InProcess, "durability Process: kept in the segment, worker here has room")));
        Assert.That(await arrived.Task.Soon(), Is.SameAs(photo));
        Assert.That(Inspect("photos.resize").Leased, Is.EqualTo(1));
        finish.SetResult();
        await Eventually.Holds(() => Inspect("photos.resize").Leased == 0);
    }

    [Test]
    public async Task A_graceful_stop_hands_over_tasks_that_no_worker_has_started()
    {
        TaskCompletionSource started = new();
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", async (_, _, cancellationToken) =>
        {
            started.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }, h => h.Concurrency = 1));
        for (int i = 0; i < 10; i++) await queue.EnqueueAsync(new Job(i));
        await started.Task.Soon();

        DrainReport report = await queue.StopAsync(new CancellationToken(canceled: true));

        Assert.That(report.Transferred, Is.EqualTo(new Dictionary<RouteName, int> { [RouteName.SharedMemory] = 10 }));
        Assert.That((report.Completed, report.Lost, report.StillRunning), Is.EqualTo((0, 0, 0)));
        Assert.That(Inspect("jobs").Ready, Is.EqualTo(10));
    }
}
