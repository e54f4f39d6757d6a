using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Hosting;

/// <summary>Services, scopes, configuration, start and stop.</summary>
internal sealed class HostingTests : QueueTest
{
    private IHost Build(Action<TaskQueueOptions> configure, Dictionary<string, string?>? configuration = null,
        Action<IServiceCollection>? services = null)
    {
        HostApplicationBuilder builder =
            Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { EnvironmentName = "Development" });
        builder.ConfigureContainer(
            new DefaultServiceProviderFactory(new ServiceProviderOptions { ValidateScopes = true, ValidateOnBuild = true }));
        configuration ??= [];
        configuration.TryAdd("Otto:Queue:SharedMemory:Directory", Segments);
        builder.Configuration.AddInMemoryCollection(configuration);
        services?.Invoke(builder.Services);
        builder.Services.AddOttoQueue(builder.Configuration.GetSection("Otto:Queue"), configure);
        return builder.Build();
    }

    [TestCase(true, 3)]
    [TestCase(false, 1)]
    public async Task Each_task_has_a_scope_of_its_own_unless_switched_off(bool scope, int units)
    {
        using IHost host = Build(q => q.AddHandler<Job, ScopedHandler>("jobs", h => { h.Scope = scope; h.Concurrency = 1; }), null, s =>
        {
            s.AddSingleton<Units>();
            if (scope) s.AddScoped<Unit>();
            else s.AddSingleton<Unit>();
        });
        await host.StartAsync();
        ITaskQueue queue = host.Services.GetRequiredService<ITaskQueue>();
        for (int i = 0; i < 3; i++) await queue.EnqueueAsync(new Job(i));

        Units seen = host.Services.GetRequiredService<Units>();
        await Eventually.Holds(() => seen.Handled == 3 && (!scope || seen.Disposed == 3));
        Assert.That(seen.Made, Is.EqualTo(units));
        await host.StopAsync();
    }

    [Test]
    public async Task A_function_finds_its_scope_in_the_context()
    {
        TaskCompletionSource<bool> found = new();
        using IHost host = Build(q => q.AddHandler<Job>("jobs", (_, context, _) =>
        {
            found.TrySetResult(context.Services!.GetService<Unit>() is not null);
            return default;
        }), null, s => s.AddSingleton<Units>().AddScoped<Unit>());
        await host.StartAsync();

        await host.Services.GetRequiredService<ITaskQueue>().EnqueueAsync(new Job(1));

        Assert.That(await found.Task.Soon(), Is.True);
        await host.StopAsync();
    }

    [Test]
    public async Task Configuration_has_the_last_word()
    {
        using IHost host = Build(q => q.UseInProcess(o => o.Capacity = 1).AddHandler<Job>("jobs", static (_, _, _) => default), new()
        {
            ["Otto:Queue:Routes"] = "InProcess",
            ["Otto:Queue:InProcess:Capacity"] = "77",
            ["Otto:Queue:InProcess:FullMode"] = "reject",
            ["Otto:Queue:Tasks:jobs:Queue"] = "renamed",
            ["Otto:Queue:Tasks:jobs:Concurrency"] = "3",
            ["Otto:Queue:Tasks:jobs:Timeout"] = "00:00:05",
        });
        await host.StartAsync();

        QueueRuntime queue = host.Services.GetRequiredService<TaskQueue>().Queues.Single();
        Assert.That((queue.Name, queue.Ring.Capacity, queue.Routes.Length, queue.Concurrency, queue.Tasks[0].Timeout),
            Is.EqualTo(("renamed", 77, 0, 3, TimeSpan.FromSeconds(5))));
        await host.StopAsync();
    }

    [TestCase("InProces:Capacity", "1",
        "unknown key 'Otto:Queue:InProces'; known: DrainTimeout, RoundTripEveryTask, Routes, InProcess, SharedMemory, Tasks")]
    [TestCase("InProcess:Capasity", "1", "unknown key 'Otto:Queue:InProcess:Capasity'; known: Enabled, Capacity, FullMode, Weight")]
    [TestCase("InProcess:Capacity", "many", "Otto:Queue:InProcess:Capacity is 'many', not a whole number")]
    [TestCase("InProcess:Capacity", "0", "InProcess.Capacity must be 1 to 16,777,216: 0")]
    [TestCase("InProcess:FullMode", "Drop", "Otto:Queue:InProcess:FullMode is 'Drop', not one of Overflow, Wait, Reject")]
    [TestCase("Routes:0", "Rdis", "unknown route 'Rdis' in Otto:Queue:Routes; known: InProcess, SharedMemory")]
    [TestCase("Tasks:jbos:Retries", "1", "unknown key 'Otto:Queue:Tasks:jbos'; known: jobs")]
    [TestCase("Tasks:jobs:Retries", "-1", "task 'jobs': Retries must be 0 to 1,000: -1")]
    public void A_mistake_in_the_configuration_stops_the_host_from_starting_and_is_named(string key, string value, string message)
    {
        using IHost host = Build(q => q.AddHandler<Job>("jobs", static (_, _, _) => default), new() { [$"Otto:Queue:{key}"] = value });
        Assert.That(async () => await host.StartAsync(), Throws.TypeOf<OptionsValidationException>().With.Message.Contains(message));
    }

    [Test]
    public async Task Several_modules_can_add_their_tasks()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        OttoQueueBuilder queue =
            builder.Services.AddOttoQueue(q => q.UseSharedMemory(s => s.Directory = Segments).AddProducer<Job>("jobs"));
        queue.Configure(static q => q.AddProducer<ResizePhoto>("photos.resize"));
        builder.Services.AddOttoQueue(static q => q.AddProducer<string>("lines"));
        builder.Services.Configure<TaskQueueOptions>(static o => o.AddProducer<byte[]>("bytes"));
        using IHost host = builder.Build();
        await host.StartAsync();

        Assert.That(host.Services.GetRequiredService<TaskQueue>().GetStatistics().Select(static s => s.Queue),
            Is.EqualTo(new[] { "jobs", "photos.resize", "lines", "bytes" }));
        await host.StopAsync();
    }

    [Test]
    public async Task The_hosts_shutdown_timeout_is_respected()
    {
        TaskCompletionSource started = new();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.Configure<HostOptions>(static o => o.ShutdownTimeout = TimeSpan.FromMilliseconds(100));
        builder.Services.AddOttoQueue(
            q => q.UseSharedMemory(s => s.Directory = Segments).AddHandler<Job>("jobs", async (_, _, cancellationToken) =>
        {
            started.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
        }));
        using IHost host = builder.Build();
        await host.StartAsync();
        await host.Services.GetRequiredService<ITaskQueue>().EnqueueAsync(new Job(1));
        await started.Task.Soon();

        await host.StopAsync().Soon();

        DrainReport report = await host.Services.GetRequiredService<TaskQueue>().StopAsync();
        Assert.That((report.TransferredTotal, report.Lost), Is.EqualTo((1, 0)));
    }

    private sealed class Units
    {
        internal int Made, Disposed, Handled;
    }

    private sealed class Unit : IDisposable
    {
        private readonly Units _units;

        public Unit(Units units)
        {
            _units = units;
            Interlocked.Increment(ref units.Made);
        }

        public void Dispose() => Interlocked.Increment(ref _units.Disposed);
    }

    private sealed class ScopedHandler(Unit unit, Units units) : ITaskHandler<Job>
    {
        public ValueTask HandleAsync(Job task, TaskContext context, CancellationToken cancellationToken)
        {
            GC.KeepAlive(unit);
            Interlocked.Increment(ref units.Handled);
            return default;
        }
    }
}
