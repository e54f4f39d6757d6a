using Otto.Ipc;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Hosting;

/// <summary>A host that fails while it starts, or that is disposed before it is stopped.</summary>
[Parallelizable]
internal sealed class HostLifetimeTests : QueueTest
{
    private HostApplicationBuilder Builder(Action<TaskQueueOptions> configure)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings());
        builder.Services.AddOttoQueue(q => configure(q.UseSharedMemory(s => s.Directory = Segments)));
        return builder;
    }

    private async Task SendAsync(int count)
    {
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        for (int i = 0; i < count; i++) await producer.EnqueueAsync(new Job(i), new() { Durability = Durability.Process });
    }

    [Test]
    public async Task A_host_that_fails_while_it_starts_begins_no_task()
    {
        await SendAsync(20);
        int began = 0;
        for (int start = 0; start < 6; start++)
        {
            HostApplicationBuilder builder = Builder(q => q.AddHandler<Job>("jobs", (_, _, _) =>
            {
                Interlocked.Increment(ref began);
                return default;
            }));
            builder.Services.AddHostedService<FailsToStart>();
            using IHost host = builder.Build();
            Assert.That(async () => await host.StartAsync(), Throws.InvalidOperationException);
        }

        Assert.That(began, Is.Zero);
        Assert.That(Inspect("jobs"), Is.EqualTo(Inspect("jobs") with { Ready = 20, Leased = 0, Dead = 0 }));
        List<int> attempts = [];
        TaskQueue heir = await StartAsync(Options().AddHandler<Job>("jobs", (_, context, _) =>
        {
            lock (attempts) attempts.Add(context.Attempt);
            return default;
        }));
        await Eventually.Holds(() => heir.GetStatistics()[0].Completed == 20);
        Assert.That(attempts, Is.All.EqualTo(1));
    }

    private sealed class FailsToStart : IHostedService
    {
        // Long enough for workers that had begun to do harm.
        public async Task StartAsync(CancellationToken cancellationToken)
        {
            await Task.Delay(50, cancellationToken);
            throw new InvalidOperationException("no");
        }

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    [Test]
    public async Task Work_begins_when_every_service_has_started()
    {
        await SendAsync(1);
        bool started = false;
        TaskCompletionSource<bool> seen = new();
        HostApplicationBuilder builder = Builder(q => q.AddHandler<Job>("jobs", (_, _, _) =>
        {
            seen.TrySetResult(Volatile.Read(ref started));
            return default;
        }));
        builder.Services.AddSingleton<IHostedService>(new Late(() => Volatile.Write(ref started, true)));
        using IHost host = builder.Build();
        await host.StartAsync();
        Assert.That(await seen.Task.Soon(), Is.True);
        await host.StopAsync();
    }

    private sealed class Late(Action started) : IHostedLifecycleService
    {
        public Task StartingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StartAsync(CancellationToken cancellationToken) => Task.Delay(50, cancellationToken);

        public Task StartedAsync(CancellationToken cancellationToken)
        {
            started();
            return Task.CompletedTask;
        }

        public Task StoppingAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }

    [Test]
    public async Task Without_a_host_work_begins_with_the_start()
    {
        ServiceCollection services = new();
        services.AddOttoQueue(q => q.UseSharedMemory(s => s.Directory = Segments).AddHandler<Job>("jobs", static (_, _, _) => default));
        await using ServiceProvider provider = services.BuildServiceProvider();
        foreach (IHostedService service in provider.GetServices<IHostedService>()) await service.StartAsync(default);
        TaskQueue queue = provider.GetRequiredService<TaskQueue>();
        await queue.EnqueueAsync(new Job(1));
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
    }

    [Test]
    public async Task Services_that_are_disposed_before_the_stop_cost_no_attempt([Values] bool scope, [Values] bool dispose)
    {
        await SendAsync(20);
        TaskCompletionSource began = new(), go = new();
        ServiceCollection services = new();
        services.AddScoped<Unit>();
        services.AddOttoQueue(q => q.UseSharedMemory(s => s.Directory = Segments).AddHandler<Job>("jobs", async (job, context, _) =>
        {
            began.TrySetResult();
            await go.Task;
            // What was disposed cannot be used.
            context.Services!.GetRequiredService<Unit>();
            throw new IOException("its services are gone");
        }, h => { h.Concurrency = 4; h.Scope = scope; h.Retries = 0; }));
        ServiceProvider provider = services.BuildServiceProvider();
        foreach (IHostedService service in provider.GetServices<IHostedService>()) await service.StartAsync(default);
        await began.Task.Soon();
        Task disposing = dispose ? Task.Run(provider.Dispose) : provider.DisposeAsync().AsTask();
        await Eventually.Holds(() => IsDisposed(provider));
        go.SetResult();
        await disposing.Soon();

        WorkQueueCounts counts = Inspect("jobs");
        Assert.That((counts.Ready, counts.Leased, counts.Dead, counts.Delayed), Is.EqualTo((20, 0, 0, 0)));
        List<int> attempts = [];
        TaskQueue heir = await StartAsync(Options().AddHandler<Job>("jobs", (_, context, _) =>
        {
            lock (attempts) attempts.Add(context.Attempt);
            return default;
        }));
        await Eventually.Holds(() => heir.GetStatistics()[0].Completed == 20);
        Assert.That(attempts, Is.All.EqualTo(1));
    }

    private static bool IsDisposed(IServiceProvider provider)
    {
        try
        {
            provider.GetService<IServiceScopeFactory>();
            return false;
        }
        catch (ObjectDisposedException)
        {
            return true;
        }
    }

    public sealed record Job(int Number);

    private sealed class Unit;
}
