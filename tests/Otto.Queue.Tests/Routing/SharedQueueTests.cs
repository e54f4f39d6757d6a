using System.Collections.Concurrent;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Routing;

/// <summary>Several names in one queue, workers that know only some of them, and fairness between routes.</summary>
internal sealed class SharedQueueTests : QueueTest
{
    [Test]
    public async Task Several_names_share_one_queue_and_one_segment()
    {
        TaskQueue producer =
            Make(Options().AddProducer<ResizePhoto>("photos.resize", h => h.Queue = "media").AddProducer<Job>("video.cut",
                h => h.Queue = "media"));
        await producer.EnqueueAsync(new ResizePhoto("a.jpg"));
        await producer.EnqueueAsync(new Job(1));

        Assert.That(Inspect("media").Ready, Is.EqualTo(2));
        Assert.That(Directory.GetFiles(Segments), Has.Length.EqualTo(1));
    }

    [Test]
    public async Task Tasks_without_a_handler_here_are_passed_over_once_and_hold_nothing_up()
    {
        TaskQueue photosOnly =
            await StartAsync(Options().AddHandler<ResizePhoto>("photos.resize", static (_, _, _) => default, h => h.Queue = "media"));
        TaskQueue producer = Make(Options().AddProducer<Job>("video.cut", h => h.Queue = "media")
            .AddProducer<ResizePhoto>("photos.resize", h => h.Queue = "media"));
        for (int i = 0; i < 300; i++) await producer.EnqueueAsync(new Job(i));
        for (int i = 0; i < 10; i++) await producer.EnqueueAsync(new ResizePhoto("a.jpg"));
        await Eventually.Holds(() => photosOnly.GetStatistics()[0].Completed == 10);
        await Eventually.Holds(() => photosOnly.GetStatistics()[0].Returned == 300);
        Ipc.WorkQueueCounts counts = photosOnly.Queues[0].Routes[0].Channel.LastCounts;
        Assert.That(counts, Has.Property("PassedOver").EqualTo(300).And.Property("Ready").Zero);

        // Later ones are passed over once as well, by a worker that was there before and by one that comes.
        await producer.EnqueueAsync(new Job(300));
        await Eventually.Holds(() => photosOnly.GetStatistics()[0].Returned == 301);
        ConcurrentQueue<(int Number, int Attempt)> cut = [];
        TaskQueue both = await StartAsync(Options().AddHandler<Job>("video.cut", (job, context, _) =>
        {
            cut.Enqueue((job.Number, context.Attempt));
            return default;
        }, h => { h.Queue = "media"; h.Concurrency = 1; }));
        await Eventually.Holds(() => both.GetStatistics()[0].Completed == 301);
        Assert.That(cut, Is.EqualTo(Enumerable.Range(0, 301).Select(static i => (i, 1))), "in their order, no attempt used");
        Assert.That(photosOnly.GetStatistics()[0].Returned, Is.EqualTo(301));
        for (int i = 0; i < 50; i++) await producer.EnqueueAsync(new Job(1000 + i));
        await Eventually.Holds(() => both.GetStatistics()[0].Completed == 351, "whoever gets them first");
    }

    [TestCase(3, 1)]
    [TestCase(1, 3)]
    [TestCase(4, 4)]
    public async Task A_worker_takes_from_each_route_by_weight(int here, int shared)
    {
        List<RouteName> order = [];
        TaskCompletionSource open = new();
        TaskQueue queue = await StartAsync(Options().UseInProcess(o => o.Weight = here).UseSharedMemory(o => o.Weight = shared)
            .AddHandler<Job>("jobs", async (_, context, _) =>
            {
                order.Add(context.Route);
                await open.Task;
            }, h => h.Concurrency = 1));
        for (int i = 0; i < 200; i++)
        {
            await queue.EnqueueAsync(new Job(i), new() { Route = RouteName.InProcess });
            await queue.EnqueueAsync(new Job(i), new() { Route = RouteName.SharedMemory });
        }

        await Eventually.Holds(() => queue.Queues[0].Routes[0].Receiver.MayHaveWork); // The doorbell takes its time on a busy machine.
        open.SetResult();
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 400);

        // While both have work, each gets its share, give or take one turn.
        int turns = 100 / Math.Max(here, shared);
        int looked = turns * (here + shared);
        Assert.That(order.Take(looked).Count(static r => r == RouteName.InProcess),
            Is.EqualTo(turns * here).Within(Math.Max(here, shared)));
    }

    [Test]
    public async Task One_worker_never_runs_more_than_its_concurrency_over_all_routes_together()
    {
        int running = 0, most = 0;
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", async (_, _, _) =>
        {
            int now = Interlocked.Increment(ref running);
            InterlockedMax(ref most, now);
            await Task.Yield();
            Interlocked.Decrement(ref running);
        }, h => h.Concurrency = 3));
        for (int i = 0; i < 300; i++)
            await queue.EnqueueAsync(new Job(i), new() { Route = i % 2 == 0 ? RouteName.InProcess : RouteName.SharedMemory });

        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 300);
        Assert.That(most, Is.LessThanOrEqualTo(3));
    }

    [Test]
    public async Task A_worker_claims_no_more_than_it_can_run()
    {
        TaskCompletionSource open = new();
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", async (_, _, _) => await open.Task, h => h.Concurrency = 2));
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        for (int i = 0; i < 10; i++) await producer.EnqueueAsync(new Job(i));

        await Eventually.Holds(() => Inspect("jobs").Leased == 2);
        Assert.That(Inspect("jobs").Ready, Is.EqualTo(8));
        open.SetResult();
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 10);
    }

    private static void InterlockedMax(ref int most, int value)
    {
        int seen = Volatile.Read(ref most);
        while (value > seen)
        {
            int before = Interlocked.CompareExchange(ref most, value, seen);
            if (before == seen) return;
            seen = before;
        }
    }
}
