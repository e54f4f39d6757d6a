using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Routing;

/// <summary>Full means spill, wait or reject: never a silent drop, never without bound.</summary>
internal sealed class QueueFullTests : QueueTest
{
    private readonly SemaphoreSlim _gate = new(0);
    private TaskCompletionSource _started = new();

    [SetUp]
    public void CloseTheGate()
    {
        while (_gate.Wait(0)) { }
        _started = new TaskCompletionSource();
    }

    private async ValueTask WaitAtTheGate(Job job, TaskContext context, CancellationToken cancellationToken)
    {
        _started.TrySetResult();
        await _gate.WaitAsync(cancellationToken);
    }

    /// <summary>A queue with room for four, whose one worker is busy and whose ring is full.</summary>
    private async Task<TaskQueue> MakeFullAsync(TaskQueueOptions options, QueueFullMode whenFull)
    {
        TaskQueue queue = await StartAsync(options.UseInProcess(o => { o.Capacity = 4; o.FullMode = whenFull;
        }).AddHandler<Job>("jobs", WaitAtTheGate, h => h.Concurrency = 1));
        await queue.EnqueueAsync(new Job(0));
        await _started.Task.Soon();
        for (int i = 1; i <= 4; i++) Assert.That((await queue.EnqueueAsync(new Job(i))).Route, Is.EqualTo(RouteName.InProcess));
        return queue;
    }

    [Test]
    public async Task Spill_sends_what_has_no_room_to_the_segment_and_counts_it()
    {
        TaskQueue queue = await MakeFullAsync(Options(), QueueFullMode.Overflow);

        TaskReceipt receipt = await queue.EnqueueAsync(new Job(5));

        Assert.That((receipt.Route, receipt.Reason), Is.EqualTo((RouteName.SharedMemory, "spilled: the queue here is full (4)")));
        Assert.That(queue.GetStatistics()[0].Overflowed, Is.EqualTo(1));
        _gate.Release(6);
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 6);
    }

    [Test]
    public async Task Reject_names_the_numbers()
    {
        TaskQueue queue = await MakeFullAsync(Options(), QueueFullMode.Reject);

        Assert.That(async () => await queue.EnqueueAsync(new Job(5)),
            Throws.TypeOf<QueueFullException>().With.Message.StartsWith(
                "queue 'jobs' is full: 4 of 4 tasks wait here (SharedMemory: 1,024 of 1,024 free)"));
        Assert.That(queue.GetStatistics()[0].Rejected, Is.EqualTo(1));
        _gate.Release(5);
    }

    [Test]
    public async Task Wait_continues_as_soon_as_a_worker_has_taken_one()
    {
        TaskQueue queue = await MakeFullAsync(Options(), QueueFullMode.Wait);

        Task<TaskReceipt> waiting = queue.EnqueueAsync(new Job(5)).AsTask();
        Assert.That(waiting.IsCompleted, Is.False);
        _gate.Release();

        Assert.That((await waiting.Soon()).Route, Is.EqualTo(RouteName.InProcess));
        _gate.Release(5);
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 6);
    }

    [Test]
    public async Task Waiting_can_be_cancelled_and_then_nothing_was_enqueued()
    {
        TaskQueue queue = await MakeFullAsync(Options(), QueueFullMode.Wait);
        using CancellationTokenSource cancel = new();

        Task<TaskReceipt> waiting = queue.EnqueueAsync(new Job(5), null, cancel.Token).AsTask();
        await cancel.CancelAsync();

        Assert.That(async () => await waiting.Soon(), Throws.InstanceOf<OperationCanceledException>());
        _gate.Release(5);
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 5);
        Assert.That(queue.GetStatistics()[0].InProcess, Is.EqualTo(5));
    }

    [Test]
    public async Task A_stop_rejects_waiting_producers()
    {
        TaskQueue queue = await MakeFullAsync(InProcessOnly(), QueueFullMode.Wait);
        Task<TaskReceipt> waiting = queue.EnqueueAsync(new Job(5)).AsTask();

        Task<DrainReport> stop = queue.StopAsync();

        Assert.That(async () => await waiting.Soon(), Throws.TypeOf<QueueStoppedException>());
        _gate.Release(5);
        Assert.That((await stop.Soon()).Completed, Is.EqualTo(5));
    }

    [Test]
    public async Task With_every_route_full_a_spilling_producer_waits_for_whichever_has_room_first()
    {
        TaskQueue queue = await MakeFullAsync(Options().UseSharedMemory(s => s.Slots = 2), QueueFullMode.Overflow);
        for (int i = 5; i <= 6; i++) Assert.That((await queue.EnqueueAsync(new Job(i))).Route, Is.EqualTo(RouteName.SharedMemory));

        Task<TaskReceipt> waiting = queue.EnqueueAsync(new Job(7)).AsTask();
        Assert.That(waiting.IsCompleted, Is.False);
        _gate.Release();

        await waiting.Soon();
        _gate.Release(7);
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 8);
    }

    [Test]
    public async Task A_full_segment_rejects_if_configured()
    {
        TaskQueue queue = Make(Options().UseSharedMemory(s => { s.Slots = 2; s.FullMode = QueueFullMode.Reject;
        }).AddProducer<Job>("jobs"));
        for (int i = 0; i < 2; i++) await queue.EnqueueAsync(new Job(i));

        Assert.That(async () => await queue.EnqueueAsync(new Job(2)),
            Throws.TypeOf<QueueFullException>().With.Message.Contains("SharedMemory: 0 of 2 free"));
    }

    [Test]
    public async Task Inside_a_handler_waiting_spills_instead()
    {
        TaskCompletionSource<TaskReceipt> follow = new();
        TaskQueue queue = await StartAsync(Options().UseInProcess(o => { o.Capacity = 1; o.FullMode = QueueFullMode.Wait; })
            .AddHandler<Job>("jobs", async (job, context, cancellationToken) =>
            {
                if (job.Number != 0) return;
                await Task.Yield();
                await context.TaskQueue.EnqueueAsync(new Job(1), null, cancellationToken);
                follow.TrySetResult(await context.TaskQueue.EnqueueAsync(new Job(2), null, cancellationToken));
            }, h => h.Concurrency = 1));

        await queue.EnqueueAsync(new Job(0));

        Assert.That((await follow.Task.Soon()).Route, Is.EqualTo(RouteName.SharedMemory));
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 3);
    }

    [Test]
    public async Task Inside_a_handler_with_nowhere_to_spill_it_throws_instead_of_locking_up()
    {
        TaskCompletionSource<Exception?> refused = new();
        TaskQueue queue = await StartAsync(InProcessOnly().UseInProcess(o => { o.Capacity = 1; o.FullMode = QueueFullMode.Wait; })
            .AddHandler<Job>("jobs", async (job, context, cancellationToken) =>
            {
                if (job.Number != 0) return;
                try
                {
                    await context.TaskQueue.EnqueueAsync(new Job(1), null, cancellationToken);
                    await context.TaskQueue.EnqueueAsync(new Job(2), null, cancellationToken);
                    refused.TrySetResult(null);
                }
                catch (Exception e)
                {
                    refused.TrySetResult(e);
                }
            }, h => h.Concurrency = 1));

        await queue.EnqueueAsync(new Job(0));

        Assert.That(await refused.Task.Soon(), Is.TypeOf<QueueFullException>());
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 2);
    }

    [Test]
    public async Task A_task_too_large_for_a_slot_and_for_a_loan_is_refused_with_both_sizes()
    {
        TaskQueue queue = Make(Options().AddProducer<byte[]>("bytes").UseSharedMemory(o => o.MaxLoanBytes = 600));
        Assert.That(async () => await queue.EnqueueAsync(new byte[600]),
            Throws.TypeOf<TaskSerializationException>().With.Message.Contains("of 653 bytes with its envelope exceeds the 600"));
        await queue.StopAsync();
    }

    [Test]
    public async Task A_task_of_megabytes_goes_through_shared_memory_by_itself()
    {
        byte[] large = new byte[3_000_000];
        Random.Shared.NextBytes(large);
        var heard = new TaskCompletionSource<byte[]>();
        TaskQueue sender = Make(Options().AddProducer<byte[]>("bytes"));
        TaskReceipt receipt = await sender.EnqueueAsync(large);
        Assert.That(receipt.Route, Is.EqualTo(RouteName.SharedMemory));
        TaskQueue worker = await StartAsync(Options().AddHandler<byte[]>("bytes", (task, _, _) =>
        {
            heard.TrySetResult(task);
            return default;
        }));
        Assert.That((await heard.Task.Soon()).AsSpan().SequenceEqual(large), Is.True);
        await worker.StopAsync();
        await sender.StopAsync();
    }
}
