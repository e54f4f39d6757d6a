using Otto.Ipc;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Routing;

/// <summary>Where a task goes and what its receipt says.</summary>
internal sealed class RouteReasonTests : QueueTest
{
    private static ValueTask Done(Job job, TaskContext context, CancellationToken cancellationToken) => ValueTask.CompletedTask;

    [Test]
    public async Task Before_the_start_tasks_of_a_handler_here_wait_in_the_segment()
    {
        TaskQueue queue = Make(Options().AddHandler<Job>("jobs", Done));
        TaskReceipt early = await queue.EnqueueAsync(new Job(1));
        Assert.That((early.Route, early.Reason), Is.EqualTo((RouteName.SharedMemory, RouteReason.SegmentKeeps)));

        await queue.StartAsync();
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
    }

    [Test]
    public async Task Before_the_start_and_with_no_other_route_they_wait_in_the_process()
    {
        TaskQueue queue = Make(InProcessOnly().AddHandler<Job>("jobs", Done));
        TaskReceipt early = await queue.EnqueueAsync(new Job(1));
        Assert.That((early.Route, early.Reason), Is.EqualTo((RouteName.InProcess, RouteReason.OnlyRoute)));

        await queue.StartAsync();
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
    }

    [Test]
    public async Task A_pinned_task_goes_where_it_is_pinned_to()
    {
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", Done));
        TaskReceipt there = await queue.EnqueueAsync(new Job(1), new() { Route = RouteName.SharedMemory });
        TaskReceipt here = await queue.EnqueueAsync(new Job(2), new() { Route = RouteName.InProcess });

        Assert.That((there.Route, there.Reason), Is.EqualTo((RouteName.SharedMemory, RouteReason.Pinned)));
        Assert.That((here.Route, here.Reason), Is.EqualTo((RouteName.InProcess, RouteReason.Pinned)));
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 2);
    }

    [Test]
    public void A_pin_to_a_route_that_is_not_there_says_which_are()
    {
        TaskQueue queue = Make(Options().AddProducer<Job>("jobs"));
        Assert.That(async () => await queue.EnqueueAsync(new Job(1), new() { Route = RouteName.Redis }),
            Throws.InvalidOperationException.With.Message.Contains("configured: InProcess, SharedMemory"));
        Assert.That(async () => await queue.EnqueueAsync(new Job(1), new() { Route = RouteName.InProcess }),
            Throws.InvalidOperationException.With.Message.Contains("no worker for it runs in this process"));
    }

    [Test]
    public void A_durability_that_no_route_gives_says_what_is_missing()
    {
        TaskQueue alone = Make(InProcessOnly().AddHandler<Job>("jobs", Done));
        Assert.That(async () => await alone.EnqueueAsync(new Job(1), new() { Durability = Durability.Process }),
            Throws.InvalidOperationException.With.Message.Contains("needs shared memory; configured: InProcess"));
        TaskQueue shared = Make(Options().AddHandler<Job>("jobs", Done));
        Assert.That(async () => await shared.EnqueueAsync(new Job(1), new() { Durability = Durability.Cluster }),
            Throws.InvalidOperationException.With.Message.Contains("Otto.Queue.Redis"));
    }

    [Test]
    public async Task A_durable_task_without_a_worker_here_goes_to_the_segment()
    {
        TaskQueue queue = Make(Options().AddProducer<Job>("jobs"));
        TaskReceipt receipt = await queue.EnqueueAsync(new Job(1), new() { Durability = Durability.Process });
        Assert.That((receipt.Route, receipt.Reason), Is.EqualTo((RouteName.SharedMemory, RouteReason.Durable)));
        Assert.That(Inspect("jobs").Ready, Is.EqualTo(1));
    }

    [Test]
    public async Task Each_task_is_judged_again_when_a_worker_comes_and_goes()
    {
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        List<string> reasons = [(await producer.EnqueueAsync(new Job(1))).Reason];
        TaskQueue worker = await StartAsync(Options().AddHandler<Job>("jobs", Done));
        reasons.Add((await producer.EnqueueAsync(new Job(2))).Reason);
        await Eventually.Holds(() => worker.GetStatistics()[0].Completed == 2);
        await worker.StopAsync();
        reasons.Add((await producer.EnqueueAsync(new Job(3))).Reason);

        Assert.That(reasons, Is.EqualTo(new[] { RouteReason.SegmentKeeps, RouteReason.WorkerAttached, RouteReason.SegmentKeeps }));
    }

    [Test]
    public void A_type_or_name_that_was_not_declared_lists_those_that_were()
    {
        TaskQueue queue = Make(Options().AddProducer<Job>("jobs").AddProducer<byte[]>("a").AddProducer<byte[]>("b"));
        Assert.That(async () => await queue.EnqueueAsync("text"),
            Throws.InvalidOperationException.With.Message.Contains("declared: Byte[], Job"));
        Assert.That(async () => await queue.EnqueueAsync(new byte[1]),
            Throws.InvalidOperationException.With.Message.Contains("pass the name of one of them to EnqueueNamedAsync: a, b"));
        Assert.That(async () => await queue.EnqueueNamedAsync("c", new byte[1]),
            Throws.InvalidOperationException.With.Message.Contains("declared: a, b, jobs"));
        Assert.That(async () => await queue.EnqueueNamedAsync("jobs", new byte[1]),
            Throws.ArgumentException.With.Message.Contains("is declared with the type"));
    }

    [Test]
    public async Task A_text_with_kept_options_is_a_task_and_not_the_name_of_one()
    {
        TaskQueue queue = Make(Options().AddProducer<string>("words"));
        EnqueueOptions kept = new() { Durability = Durability.Process };

        TaskReceipt byType = await queue.EnqueueAsync("text", kept);
        TaskReceipt byName = await queue.EnqueueNamedAsync("words", "text", kept);

        Assert.That((byType.Reason, byName.Reason), Is.EqualTo((RouteReason.Durable, RouteReason.Durable)));
    }

    [Test]
    public async Task A_further_route_joins_through_the_seam_and_is_the_widest()
    {
        WorkQueue elsewhere = OpenSegment("elsewhere");
        TaskQueue queue = Make(Options().AddRoute(new OtherRoute(elsewhere)).AddProducer<Job>("jobs"));

        TaskReceipt nobody = await queue.EnqueueAsync(new Job(1));
        TaskReceipt cluster = await queue.EnqueueAsync(new Job(2), new() { Durability = Durability.Cluster });
        await StartAsync(Options().AddHandler<Job>("jobs", Done));
        TaskReceipt near = await queue.EnqueueAsync(new Job(3));

        Assert.That((nobody.Route, nobody.Reason), Is.EqualTo((RouteName.Redis, "no worker is known nearer")));
        Assert.That(cluster.Route, Is.EqualTo(RouteName.Redis));
        Assert.That((near.Route, near.Reason), Is.EqualTo((RouteName.SharedMemory, RouteReason.WorkerAttached)));
    }

    private sealed class OtherRoute(WorkQueue queue) : ITaskRoute
    {
        public RouteName Name => RouteName.Redis;

        public RouteReach Reach => RouteReach.Network;

        public Durability Durability => Durability.Cluster;

        public int Weight => 1;

        public QueueFullMode FullMode => QueueFullMode.Wait;

        public string NoWorkerReason => "no worker is known nearer";

        public ValueTask<TaskChannel> OpenAsync(ChannelName name, CancellationToken cancellationToken) => new(TaskChannels.Over(queue));
    }
}
