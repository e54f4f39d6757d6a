using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Otto.Queue;

// One program, started twice on one machine: as the kitchen it works, as the shop it orders. They need not
// know of each other, nor start in any order:
// what is ordered while no kitchen is there waits in shared memory.

string role = args.Length > 0 ? args[0] : "";
if (role is not ("shop" or "kitchen"))
{
    Console.Error.WriteLine("usage: TwoProcesses kitchen | shop [ORDERS]");
    return 2;
}

HostApplicationBuilder builder = Host.CreateApplicationBuilder();
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.AddOttoQueue(builder.Configuration.GetSection("Otto:Queue"), queue =>
{
    if (role == "kitchen")
        queue.AddHandler<Cook, string, CookHandler>(configure: static h => { h.Concurrency = 2; h.Timeout = TimeSpan.FromSeconds(30); });
    else queue.AddProducer<Cook>();
});
if (role == "kitchen") builder.Services.AddSingleton<Stove>();
else builder.Services.AddHostedService(
    services => new Shop(services.GetRequiredService<ITaskQueue>(), services.GetRequiredService<IHostApplicationLifetime>(),
        args.Length > 1 ? int.Parse(args[1]) : 3));

using IHost host = builder.Build();
host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStarted.Register(() => Console.WriteLine($"{role} is open"));
await host.RunAsync();
return 0;

[TaskName("kitchen.cook")]
internal sealed record Cook(string Dish);

/// <summary>One for each task, from the services of a scope of its own.</summary>
internal sealed class CookHandler(Stove stove) : ITaskHandler<Cook, string>
{
    public ValueTask<string> HandleAsync(Cook task, TaskContext context, CancellationToken cancellationToken) =>
        new($"{task.Dish}, meal {stove.Light()} of this kitchen");
}

internal sealed class Stove
{
    private int _meals;

    public int Light() => Interlocked.Increment(ref _meals);
}

/// <summary>Orders, waits for what comes, and ends the program.</summary>
internal sealed class Shop(ITaskQueue tasks, IHostApplicationLifetime program, int orders) : BackgroundService
{
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        for (int i = 1; i <= orders; i++)
        {
            // Written to shared memory before it is accepted: it survives both processes.
            TaskReceipt order =
                await tasks.EnqueueAsync(new Cook($"soup {i}"), new() { Durability = Durability.Process, TrackResult = true },
                    stoppingToken);
            Console.WriteLine($"ordered by way of {order.Route}; got {await tasks.WaitAsync<string>(order, stoppingToken)}");
        }

        program.StopApplication();
    }
}
