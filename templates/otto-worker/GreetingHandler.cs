using Otto.Queue;

namespace OttoWorker;

[TaskName("greetings")]
public sealed record Greeting(string Name);

/// <summary>Works on one task; what the constructor asks for comes from the services.</summary>
public sealed class GreetingHandler(ILogger<GreetingHandler> logger) : ITaskHandler<Greeting>
{
    public ValueTask HandleAsync(Greeting task, TaskContext context, CancellationToken cancellationToken)
    {
        logger.LogInformation("Hello, {Name}! Attempt {Attempt}, route {Route}", task.Name, context.Attempt, context.Route);
        return ValueTask.CompletedTask;
    }
}
