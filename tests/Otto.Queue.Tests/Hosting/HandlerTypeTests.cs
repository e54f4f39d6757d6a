using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Otto.Ipc;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Hosting;

/// <summary>Handlers that are given by their type: names, services, lifetimes.</summary>
internal sealed class HandlerTypeTests : QueueTest
{
    [Test]
    public void A_name_is_the_handlers_or_the_tasks_or_the_types()
    {
        TaskQueueOptions options = Options().AddHandler<NamedHandler>().AddHandler<LetterHandler>()
            .AddHandler<Parcel, int, ParcelHandler>();
        Assert.That(options.Tasks.Keys, Is.EquivalentTo(new[] { "the.handlers", "letters", "Parcel" }));
        Assert.That(Options().AddHandler<Parcel, int, ParcelHandler>("parcels").Tasks.Keys, Is.EqualTo(new[] { "parcels" }));
        Assert.That(Options().AddProducer<Letter>().AddProducer<Parcel>().Tasks.Keys, Is.EquivalentTo(new[] { "letters", "Parcel" }));
        Assert.That(() => Options().AddProducer<List<int>>(), Throws.ArgumentException.With.Message.Contains("[TaskName"));
    }

    [Test]
    public void A_type_handles_one_kind_of_task_or_is_declared_for_each()
    {
        Assert.That(() => Options().AddHandler<Letter>(), Throws.ArgumentException.With.Message.Contains("is not a handler"));
        Assert.That(() => Options().AddHandler<BothHandler>(), Throws.ArgumentException.With.Message.Contains("handles 2 kinds of tasks"));
        Assert.That(Options().AddHandler<Letter, BothHandler>().AddHandler<Parcel, BothHandler>().Tasks, Has.Count.EqualTo(2));
    }

    [Test]
    public async Task A_type_alone_is_enough_with_and_without_a_result()
    {
        TaskQueue queue = await StartAsync(InProcessOnly().AddHandler<LetterHandler>().AddHandler<ParcelHandler>());
        Assert.That(await queue.InvokeAsync<int>(new Parcel(4)).Soon(), Is.EqualTo(8));
        Assert.That(await queue.InvokeAsync<object?>(new Express("Ada")).Soon(), Is.Null, "found by the type that it derives from");
        await queue.DrainAsync().Soon();
        Assert.That(queue.GetStatistics().Sum(static s => s.Completed), Is.EqualTo(2));
    }

    [TestCase(true)]
    [TestCase(false)]
    public async Task A_handler_ends_with_its_scope(bool registered)
    {
        Log log = new();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddSingleton(log);
        OttoQueueBuilder queue = builder.Services.AddOttoQueue(o => o.UseSharedMemory(static s => s.Enabled = false));
        if (registered) queue.AddHandler<DisposedHandler>();
        else queue.Configure(static o => o.AddHandler<Parcel, DisposedHandler>());
        using IHost host = builder.Build();
        await host.StartAsync();

        for (int i = 0; i < 3; i++) await host.Services.GetRequiredService<ITaskQueue>().EnqueueAsync(new Parcel(i));
        await host.Services.GetRequiredService<TaskQueue>().DrainAsync().Soon();

        Assert.That((log.Handled, log.Disposed), Is.EqualTo((3, 3)));
        await host.StopAsync();
    }

    [Test]
    public void A_service_that_a_handler_lacks_stops_the_host_from_starting([Values] bool hasLog, [Values] bool byBuilder)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        if (hasLog) builder.Services.AddSingleton<Log>();
        OttoQueueBuilder queue = builder.Services.AddOttoQueue(o => o.UseSharedMemory(s => s.Directory = Segments));
        if (byBuilder) queue.AddHandler<Parcel, DisposedHandler>();
        else queue.Configure(static o => o.AddHandler<Parcel, DisposedHandler>());
        using IHost host = builder.Build();
        if (hasLog) Assert.That(async () => await host.StartAsync(), Throws.Nothing);
        else Assert.That(async () => await host.StartAsync(), Throws.TypeOf<OptionsValidationException>().With.Message.Contains(
            "task 'Parcel': its handler needs " + typeof(Log)));
    }

    [Test]
    public async Task Options_are_one_object_from_every_call()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.Configure<TaskQueueOptions>(static o => o.DrainTimeout = TimeSpan.FromSeconds(3));
        builder.Services.AddOttoQueue().AddProducer<Letter>().UseSharedMemory(s => s.Directory = Segments);
        builder.Services.AddOttoQueue().AddHandler<Parcel, int, ParcelHandler>("parcels", static h => h.Retries = 1).UseInProcess(
            static o => o.Capacity = 16);
        builder.Services.Configure<TaskQueueOptions>(static o => o.Tasks["parcels"].Concurrency = 2);
        using IHost host = builder.Build();
        await host.StartAsync();

        TaskQueueOptions options = host.Services.GetRequiredService<IOptions<TaskQueueOptions>>().Value;
        HandlerOptions parcel = options.Tasks["parcels"];
        Assert.That((options.DrainTimeout, options.InProcess.Capacity, parcel.Retries, parcel.Concurrency),
            Is.EqualTo((TimeSpan.FromSeconds(3), 16, 1, 2)));
        Assert.That(options.Tasks.Keys, Is.EquivalentTo(new[] { "letters", "parcels" }));
        Assert.That(host.Services.GetServices<IHostedService>().Count(), Is.EqualTo(1));
        QueueRuntime parcels = host.Services.GetRequiredService<TaskQueue>().Queues.Single(static q => q.Name == "parcels");
        Assert.That((parcels.Ring.Capacity, parcels.Concurrency), Is.EqualTo((16, 2)));
        Assert.That(() => options.AddedRoutes.Clear(), Throws.InstanceOf<NotSupportedException>());
        await host.StopAsync();
    }

    [Test]
    public void A_handler_that_the_program_registered_is_made_as_the_program_says()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddTransient(static _ => new DisposedHandler(new Log()));
        builder.Services.AddOttoQueue(o => o.UseSharedMemory(s => s.Directory = Segments)).AddHandler<Parcel, DisposedHandler>();
        using IHost host = builder.Build();
        Assert.That(async () => await host.StartAsync(), Throws.Nothing);
    }

    [Test]
    public async Task Two_modules_can_pass_the_same_section()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection([new("Q:Routes", "InProcess"), new("Q:Far:Weight", "3")]);
        FarRoute far = new();
        builder.Services.AddOttoQueue(builder.Configuration.GetSection("Q"), o => o.AddRoute(far)).AddHandler<LetterHandler>();
        builder.Services.AddOttoQueue(builder.Configuration.GetSection("Q")).AddProducer<Parcel>();
        using IHost host = builder.Build();
        await host.StartAsync();
        TaskQueue queue = host.Services.GetRequiredService<TaskQueue>();
        Assert.That(queue.Queues.SelectMany(static q => q.Routes), Is.Empty, "it is known, and not on");
        Assert.That(far.Weight, Is.EqualTo(3));
        await host.StopAsync();
    }

    [Test]
    public async Task A_wait_for_a_result_ends_when_the_queue_stops_without_it()
    {
        TaskCompletionSource release = new(), begun = new();
        await using TaskQueue queue = new(InProcessOnly().AddHandler<Letter>("letters", async (_, _, _) =>
        {
            begun.TrySetResult();
            await release.Task;
        }, static o => o.Concurrency = 1));
        await queue.StartAsync();
        Task<object?>[] waits = [.. Enumerable.Range(0, 3).Select(_ => queue.InvokeAsync<object?>(new Letter("Ada")))];
        await begun.Task.Soon();

        using CancellationTokenSource now = new();
        now.Cancel();
        Task<DrainReport> stop = queue.StopAsync(now.Token);
        foreach (Task<object?> wait in waits.Skip(1))
            Assert.That(async () => await wait.Soon(), Throws.TypeOf<QueueStoppedException>().With.Message.Contains("letters"));
        release.SetResult();
        await stop.Soon();
    }

    [Test]
    public void A_task_that_two_modules_add_is_named()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOttoQueue().AddProducer<Letter>();
        builder.Services.AddOttoQueue().AddProducer<Letter>();
        using IHost host = builder.Build();
        Assert.That(async () => await host.StartAsync(),
            Throws.ArgumentException.With.Message.StartsWith("task 'letters' is declared twice; give one of them another name"));
    }

    private sealed class FarRoute : ITaskRoute
    {
        public RouteName Name { get; } = new("Far");

        public RouteReach Reach => RouteReach.Network;

        public Durability Durability => Durability.Cluster;

        public int Weight { get; private set; } = 1;

        public QueueFullMode FullMode => QueueFullMode.Wait;

        public string NoWorkerReason => "no worker is known nearer";

        public void Configure(IConfiguration section) => Weight = int.Parse(section["Weight"]!, CultureInfo.InvariantCulture);

        public ValueTask<TaskChannel> OpenAsync(ChannelName name, CancellationToken cancellationToken) =>
            throw new InvalidOperationException("this route is not on");
    }

    [TaskName("letters")]
    private record Letter(string To);

    private sealed record Express(string To) : Letter(To);

    private sealed record Parcel(int Weight);

    private sealed class LetterHandler : ITaskHandler<Letter>
    {
        public ValueTask HandleAsync(Letter task, TaskContext context, CancellationToken cancellationToken) => default;
    }

    [TaskName("the.handlers")]
    private sealed class NamedHandler : ITaskHandler<Letter>
    {
        public ValueTask HandleAsync(Letter task, TaskContext context, CancellationToken cancellationToken) => default;
    }

    private sealed class ParcelHandler : ITaskHandler<Parcel, int>
    {
        public ValueTask<int> HandleAsync(Parcel task, TaskContext context, CancellationToken cancellationToken) => new(task.Weight * 2);
    }

    private sealed class BothHandler : ITaskHandler<Letter>, ITaskHandler<Parcel>
    {
        public ValueTask HandleAsync(Letter task, TaskContext context, CancellationToken cancellationToken) => default;

        public ValueTask HandleAsync(Parcel task, TaskContext context, CancellationToken cancellationToken) => default;
    }

    private sealed class Log
    {
        internal int Handled;
        internal int Disposed;
    }

    private sealed class DisposedHandler(Log log) : ITaskHandler<Parcel>, IAsyncDisposable
    {
        public ValueTask HandleAsync(Parcel task, TaskContext context, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref log.Handled);
            return default;
        }

        public ValueTask DisposeAsync()
        {
            Interlocked.Increment(ref log.Disposed);
            return default;
        }
    }
}
