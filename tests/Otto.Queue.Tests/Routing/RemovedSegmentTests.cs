using System.Collections.Concurrent;
using System.Diagnostics;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Routing;

/// <summary>The files of a queue are deleted under its processes, as a cleaner of temporary files does.</summary>
[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
internal sealed class RemovedSegmentTests : QueueTest
{
    private readonly ConcurrentDictionary<int, int> _done = new();

    [Test]
    public async Task Workers_and_producers_move_on_to_a_new_segment([Values] bool directoryToo)
    {
        TaskQueue worker = await StartAsync(WithHandler());
        TaskQueue producer = await StartAsync(Producer());
        await EnqueueAsync(producer, 0);
        await Eventually.Holds(() => _done.ContainsKey(0));

        Delete(directoryToo);

        int next = 1;
        // A producer that has not noticed yet sends into the deleted segment, where the worker still finds it.
        next = await EnqueueUntilMadeAnewAsync(producer, next);
        await EnqueueAsync(producer, next++);
        // A process that knows nothing of the old one.
        TaskQueue late = await StartAsync(Producer());
        await EnqueueAsync(late, next++);
        await Eventually.Holds(() => _done.Count == next);
        Assert.That(_done.Values, Is.All.EqualTo(1), "each once");
        Assert.That(worker.GetStatistics()[0].Completed, Is.EqualTo(next));
        Assert.That(Inspect("jobs").Ready, Is.Zero);
    }

    [Test]
    public async Task An_idle_worker_notices_without_a_task()
    {
        await StartAsync(WithHandler());
        Delete(directoryToo: true);
        TaskQueue producer = await StartAsync(Producer());
        await EnqueueAsync(producer, 1);
        await Eventually.Holds(() => _done.ContainsKey(1));
        // Whoever looks sees the worker.
        await Eventually.Holds(() =>
        {
            using Ipc.WorkQueue segment = OpenSegment("jobs");
            return segment.OtherConsumers == 1;
        });
    }

    [Test]
    public async Task What_waited_in_a_segment_without_workers_is_sent_on_by_its_producer()
    {
        TaskQueue producer = await StartAsync(Producer());
        for (int i = 0; i < 5; i++) await EnqueueAsync(producer, i);
        await producer.EnqueueAsync(BitConverter.GetBytes(5), new() { Delay = TimeSpan.FromSeconds(1), Durability = Durability.Process });
        Delete(directoryToo: false);
        int next = 6;
        next = await EnqueueUntilMadeAnewAsync(producer, next);
        await StartAsync(WithHandler());
        await Eventually.Holds(() => _done.Count == next);
        Assert.That(_done.Values, Is.All.EqualTo(1), "each once");
    }

    [Test]
    public async Task A_result_reaches_its_producer_after_the_files_were_deleted()
    {
        await StartAsync(Large().AddHandler<byte[], byte[]>("jobs", static (task, _, _) => new([.. task, 9])));
        TaskQueue producer = await StartAsync(Producer());
        Assert.That(await producer.InvokeAsync<byte[]>(new byte[] { 1 }), Is.EqualTo(new byte[] { 1, 9 }));
        Delete(directoryToo: false);
        await EnqueueUntilMadeAnewAsync(producer, 2);
        await Eventually.Holds(() => Inspect("jobs").Ready == 0);
        Assert.That(await producer.InvokeAsync<byte[]>(new byte[] { 4 }).Soon(), Is.EqualTo(new byte[] { 4, 9 }));
    }

    // A producer fills it for as long as nobody notices.
    private TaskQueueOptions Large() => Options().UseSharedMemory(static s => s.Slots = 60_000);

    private TaskQueueOptions Producer() => Large().AddProducer<byte[]>("jobs");

    private TaskQueueOptions WithHandler() => Large().AddHandler<byte[]>("jobs", (task, _, _) =>
    {
        _done.AddOrUpdate(BitConverter.ToInt32(task), 1, static (_, count) => count + 1);
        return default;
    });

    private static async Task EnqueueAsync(TaskQueue queue, int number) =>
        await queue.EnqueueAsync(BitConverter.GetBytes(number), new() { Durability = Durability.Process });

    private async Task<int> EnqueueUntilMadeAnewAsync(TaskQueue queue, int next)
    {
        long start = Stopwatch.GetTimestamp();
        do
        {
            Assert.That(Stopwatch.GetElapsedTime(start), Is.LessThan(Eventually.Watchdog));
            await EnqueueAsync(queue, next++);
            await Task.Yield();
        }
        while (!File.Exists(Path.Combine(Segments, "jobs.queue")));
        return next;
    }

    private void Delete(bool directoryToo)
    {
        foreach (string file in Directory.GetFiles(Segments)) File.Delete(file);
        if (directoryToo) Directory.Delete(Segments);
    }
}
