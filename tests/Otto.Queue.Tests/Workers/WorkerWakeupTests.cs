using System.Diagnostics;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Workers;

/// <summary>No task waits while a worker rests: a lost wake-up would hang one of these.</summary>
internal sealed class WorkerWakeupTests : QueueTest
{
    [TestCase(1)]
    [TestCase(4)]
    public async Task A_worker_is_woken_for_every_task_however_it_falls_asleep(int concurrency)
    {
        int done = 0;
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", (_, _, _) =>
        {
            Interlocked.Increment(ref done);
            return default;
        }, h => h.Concurrency = concurrency));
        Random random = new(1);
        await Task.Run(() =>
        {
            for (int i = 1; i <= 100_000; i++)
            {
                queue.EnqueueAsync(new Job(i)).AsTask().GetAwaiter().GetResult();
                long sent = Stopwatch.GetTimestamp();
                while (Volatile.Read(ref done) < i)
                    if (Stopwatch.GetElapsedTime(sent) > Eventually.Watchdog) Assert.Fail($"task {i} was never started");

                // Mostly just when the worker gives up looking round and parks. Without the fence in WorkerPool.Park a release build
                // hangs here in about one run of three; a debug build is too slow to hit it.
                long until = Stopwatch.GetTimestamp() + random.Next(1500, 6000);
                while (Stopwatch.GetTimestamp() < until) Thread.SpinWait(1);
            }
        });
    }

    [Test]
    public async Task A_handler_that_blocks_its_thread_does_not_keep_the_next_task_waiting()
    {
        ThreadPool.GetMinThreads(out int workers, out int io);
        ThreadPool.SetMinThreads(Math.Max(workers, 8), io);
        try
        {
            using SemaphoreSlim firstMayEnd = new(0);
            int seconds = 0;
            TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", (job, _, cancellationToken) =>
            {
                if (job.Number == 1)
                {
                    firstMayEnd.Wait(cancellationToken);
                }
                else
                {
                    Interlocked.Increment(ref seconds);
                    firstMayEnd.Release();
                }

                return default;
            }, h => h.Concurrency = 2));

            for (int i = 1; i <= 2000; i++)
            {
                await queue.EnqueueAsync(new Job(1));
                await queue.EnqueueAsync(new Job(2));
                if (i % 3 == 0) await Eventually.Holds(() => Volatile.Read(ref seconds) >= i - 1);
            }

            await Eventually.Holds(() => Volatile.Read(ref seconds) == 2000);
            await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 4000);
        }
        finally
        {
            ThreadPool.SetMinThreads(workers, io);
        }
    }

    [Test]
    public async Task A_context_that_a_handler_sets_does_not_leak_into_the_next_task()
    {
        AsyncLocal<string?> local = new();
        List<string?> seen = [];
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", (job, _, _) =>
        {
            seen.Add(local.Value);
            local.Value = "left behind";
            return default;
        }, h => h.Concurrency = 1));
        local.Value = "the producer's";

        for (int i = 0; i < 10; i++) await queue.EnqueueAsync(new Job(i));
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 10);

        Assert.That(seen, Has.All.Null);
    }

    [Test]
    public async Task Handlers_never_run_on_the_producers_thread()
    {
        int producer = Environment.CurrentManagedThreadId;
        int onProducer = 0;
        TaskCompletionSource inHandler = new(), next = new();
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<Job>("jobs", async (job, _, _) =>
        {
            if (job.Number == 0)
            {
                inHandler.SetResult();
                await next.Task; // Ends on whatever thread completes it: ours.
                return;
            }

            if (Environment.CurrentManagedThreadId == producer) onProducer++;
        }, h => h.Concurrency = 1));

        Thread thread = new(() =>
        {
            producer = Environment.CurrentManagedThreadId;
            queue.EnqueueAsync(new Job(0)).AsTask().GetAwaiter().GetResult();
            inHandler.Task.GetAwaiter().GetResult();
            for (int i = 1; i < 100; i++) queue.EnqueueAsync(new Job(i)).AsTask().GetAwaiter().GetResult();
            next.SetResult();
        });
        thread.Start();
        thread.Join();

        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 100);
        Assert.That(onProducer, Is.Zero);
    }
}
