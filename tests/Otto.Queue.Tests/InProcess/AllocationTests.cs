using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.InProcess;

/// <summary>What a task costs in garbage: nothing but itself.</summary>
internal sealed class AllocationTests : QueueTest
{
    private const int Tasks = 100_000;

    [Test]
    public async Task A_task_in_process_allocates_nothing()
    {
        int done = 0;
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", (_, _, _) =>
        {
            Interlocked.Increment(ref done);
            return default;
        }, h => h.Concurrency = 1));
        Assert.That(await MeasureAsync(queue, new Job(1), () => Volatile.Read(ref done)), Is.LessThan(0.5));
    }

    [Test]
    public async Task A_timeout_allocates_nothing_either()
    {
        int done = 0;
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", (_, _, _) =>
        {
            Interlocked.Increment(ref done);
            return default;
        }, h => { h.Concurrency = 1; h.Timeout = TimeSpan.FromMinutes(5); }));
        Assert.That(await MeasureAsync(queue, new Job(1), () => Volatile.Read(ref done)), Is.LessThan(0.5));
    }

    [Test]
    public async Task Bytes_through_shared_memory_allocate_next_to_nothing()
    {
        int done = 0;
        await StartAsync(Options().AddHandler<ReadOnlyMemory<byte>>("bytes", (_, _, _) =>
        {
            Interlocked.Increment(ref done);
            return default;
        }, h => h.Concurrency = 1));
        TaskQueue producer = Make(Options().AddProducer<ReadOnlyMemory<byte>>("bytes"));
        // The transport's sleeping and waking included, which the pace decides.
        Assert.That(await MeasureAsync<ReadOnlyMemory<byte>>(producer, new byte[200], () => Volatile.Read(ref done)), Is.LessThan(100));
    }

    /// <summary>Bytes allocated a task by all threads together, waking and sleeping included.</summary>
    private static async Task<double> MeasureAsync<T>(TaskQueue queue, T task, Func<int> done) where T : notnull
    {
        await RunAsync(queue, task, done); // Warm: code, spare buffers, the pool's threads.
        double least = double.MaxValue;
        // The least of some: the test host allocates too, now and then.
        for (int run = 0; run < 5; run++)
        {
            long before = GC.GetTotalAllocatedBytes(precise: true);
            await RunAsync(queue, task, done);
            least = Math.Min(least, (GC.GetTotalAllocatedBytes(precise: true) - before) / (double)Tasks);
        }

        await TestContext.Out.WriteLineAsync($"{least:0.000} B a task");
        return least;
    }

    private static async Task RunAsync<T>(TaskQueue queue, T task, Func<int> done) where T : notnull
    {
        int target = done() + Tasks;
        for (int sent = 0; sent < Tasks; sent++)
        {
            // Never so far ahead that a ring or segment is full: waiting for room may allocate.
            while (target - Tasks + sent - done() > 500) Thread.Yield();
            ValueTask<TaskReceipt> enqueue = queue.EnqueueAsync(task);
            if (!enqueue.IsCompletedSuccessfully) await enqueue;
        }

        while (done() < target) Thread.Yield();
    }
}
