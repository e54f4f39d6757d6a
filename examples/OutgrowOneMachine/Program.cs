using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Otto.Queue;
using Otto.Queue.Redis;

// A program that outgrows one machine without a changed line. As it comes, appsettings.json keeps it to this process and this machine:
//
//   dotnet run --project examples/OutgrowOneMachine -- work
//   dotnet run --project examples/OutgrowOneMachine -- send 3
//
// On the day when workers move to another machine, both get two settings more, here by their environment:
//
//   export Otto__Queue__Routes=InProcess,SharedMemory,Redis Otto__Queue__Redis__Configuration=redis.example.org:6379
//
// A worker that is still on the sender's machine keeps getting its tasks through shared memory; Redis carries what nobody here works on.

string role = args.Length > 0 ? args[0] : "";
if (role is not ("work" or "send"))
{
    Console.Error.WriteLine("usage: OutgrowOneMachine work | send [TASKS]");
    return 2;
}

// The settings lie beside the program, wherever it is started.
HostApplicationBuilder builder =
    Host.CreateApplicationBuilder(new HostApplicationBuilderSettings { ContentRootPath = AppContext.BaseDirectory });
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.AddOttoQueue(builder.Configuration.GetSection("Otto:Queue"), queue =>
{
    queue.UseRedis("localhost:6379");
    if (role == "work") queue.AddHandler<Square, long, SquareHandler>("numbers.square");
    else queue.AddProducer<Square>("numbers.square");
});

using IHost host = builder.Build();
await host.StartAsync();
if (role == "work")
{
    Console.WriteLine("ready");
    await host.WaitForShutdownAsync();
    return 0;
}

ITaskQueue tasks = host.Services.GetRequiredService<ITaskQueue>();
for (int number = 1; number <= (args.Length > 1 ? int.Parse(args[1]) : 3); number++)
{
    TaskReceipt receipt = await tasks.EnqueueAsync(new Square(number), new() { TrackResult = true });
    Console.WriteLine($"{number} squared is {await tasks.WaitAsync<long>(receipt)}; by way of {receipt.Route}: {receipt.Reason}");
}

await host.StopAsync();
return 0;

internal sealed record Square(int Number);

internal sealed class SquareHandler : ITaskHandler<Square, long>
{
    public ValueTask<long> HandleAsync(Square task, TaskContext context, CancellationToken cancellationToken) =>
        new((long)task.Number * task.Number);
}
