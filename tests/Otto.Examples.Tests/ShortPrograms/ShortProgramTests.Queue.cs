using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Otto.Queue;
using Otto.Queue.Redis;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Examples.Tests.ShortPrograms;

// Tasks: request and response, handlers found by type, a host, and a program without one.

internal sealed partial class ShortProgramTests
{
    private TaskQueueOptions Here => new TaskQueueOptions().UseSharedMemory(o => o.Directory = _directory);

    [Test]
    public async Task Request_and_response()
    {
        await using var worker = new TaskQueue(Here.AddHandler<Square, long, SquareHandler>());
        await using var queue = new TaskQueue(Here.AddProducer<Square>());
        await worker.StartAsync();

        long n = await queue.InvokeAsync<long>(new Square(3)).Soon();

        Assert.That(n, Is.EqualTo(9));
    }

    [Test]
    public async Task Find_a_handler_by_its_type()
    {
        await using var queue = new TaskQueue(Here.AddHandler<ResizeHandler>());
        await queue.StartAsync();

        Assert.That(await queue.InvokeAsync<string>(new Photo("a.jpg")).Soon(), Is.EqualTo("a.jpg, a task of photos.resize"));
    }

    [Test]
    public async Task Configure_a_host()
    {
        using RedisServer redis = await RedisServer.StartAsync();
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Services.AddOttoQueue().AddHandler<ResizeHandler>().UseSharedMemory().UseRedis(redis.Configuration);
        builder.Services.Configure<TaskQueueOptions>(o => o.DrainTimeout = TimeSpan.FromSeconds(10));
        builder.Services.Configure<TaskQueueOptions>(o => o.SharedMemory.Directory = _directory);
        using IHost host = builder.Build();
        await host.StartAsync();

        TaskQueue queue = host.Services.GetRequiredService<TaskQueue>();
        foreach (Durability durability in (Durability[])[Durability.None, Durability.Process, Durability.Cluster])
        {
            Assert.That(await queue.InvokeAsync<string>(new Photo("a.jpg"), new() { Durability = durability }).Soon(),
                Is.EqualTo("a.jpg, a task of photos.resize"));
        }

        RouteExplanation explanation = await queue.ExplainRouteAsync("photos.resize", new() { Durability = Durability.Cluster });
        Assert.That(explanation.Route, Is.EqualTo(RouteName.Redis));
        Assert.That(explanation.Routes.Select(static r => r.Route),
            Is.EqualTo(new[] { RouteName.InProcess, RouteName.SharedMemory, RouteName.Redis }));
        await host.StopAsync();
    }

    [Test]
    public async Task Greet_without_a_host()
    {
        ConcurrentQueue<string> lines = [];
        await using var queue = TaskQueue.Create(
            q => q.AddHandler("greet", (string name) => lines.Enqueue($"hello {name}")).UseSharedMemory(o => o.Directory = _directory));
        await queue.StartAsync();
        await queue.EnqueueNamedAsync("greet", "Ada");
        await queue.DrainAsync().Soon();

        Assert.That(lines, Is.EqualTo(new[] { "hello Ada" }));
    }
}

internal sealed record Square(int Number);

internal sealed class SquareHandler : ITaskHandler<Square, long>
{
    public ValueTask<long> HandleAsync(Square task, TaskContext context, CancellationToken cancellationToken) =>
        ValueTask.FromResult((long)task.Number * task.Number);
}

internal sealed record Photo(string Path);

[TaskName("photos.resize")]
internal sealed class ResizeHandler : ITaskHandler<Photo, string>
{
    public ValueTask<string> HandleAsync(Photo task, TaskContext context, CancellationToken cancellationToken) =>
        ValueTask.FromResult($"{task.Path}, a task of {context.Name}");
}
