using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Fundamentals;

/// <summary>The same with a host: services, configuration, start and stop.</summary>
internal sealed class T4_The_queue_in_a_host : QueueTest
{
    [Test]
    public async Task A_host_runs_the_queue_from_a_few_lines_and_its_configuration()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(null);
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?> { ["Otto:Queue:SharedMemory:Directory"] = Segments });
        builder.Services.AddSingleton<Album>();
        builder.Services.AddOttoQueue(builder.Configuration.GetSection("Otto:Queue"), queue => queue
            .AddHandler<ResizePhoto, ResizePhotoHandler>("photos.resize", h =>
            {
                h.Retries = 5;
                h.Timeout = TimeSpan.FromSeconds(30);
                h.Concurrency = 8;
            })
            .UseInProcess(o => o.Capacity = 8192)
            .UseSharedMemory());
        using IHost host = builder.Build();
        await host.StartAsync();

        ITaskQueue queue = host.Services.GetRequiredService<ITaskQueue>();
        TaskReceipt receipt =
            await queue.EnqueueAsync(new ResizePhoto("a.jpg"), new() { Durability = Durability.Process }, CancellationToken.None);

        await Eventually.Holds(() => host.Services.GetRequiredService<Album>().Photos == 1);
        Assert.That(receipt.Route, Is.EqualTo(RouteName.InProcess));
        await host.StopAsync();
    }

    private sealed class Album
    {
        internal int Photos;
    }

    private sealed class ResizePhotoHandler(Album album) : ITaskHandler<ResizePhoto>
    {
        public ValueTask HandleAsync(ResizePhoto task, TaskContext context, CancellationToken cancellationToken)
        {
            Interlocked.Increment(ref album.Photos);
            return ValueTask.CompletedTask;
        }
    }
}
