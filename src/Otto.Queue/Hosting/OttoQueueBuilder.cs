using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Otto.Queue;

// What AddOttoQueue hands back, so that several modules of a program can each add their tasks to the one queue.

/// <summary>Adds to the queue that a host runs.</summary>
public sealed class OttoQueueBuilder
{
    private readonly TaskQueueOptions _options;

    internal OttoQueueBuilder(IServiceCollection services, TaskQueueOptions options)
    {
        Services = services;
        _options = options;
    }

    /// <summary>The services that the queue was added to.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Says more about the queue, such as the tasks of another module.</summary>
    /// <param name="configure">What to add.</param>
    /// <returns>This builder.</returns>
    public OttoQueueBuilder Configure(Action<TaskQueueOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        configure(_options);
        foreach (TaskDeclaration declaration in _options.Declarations) declaration.RegisterHandler?.Invoke(Services);
        return this;
    }

    /// <summary>Adds a health check: unhealthy while a configured route is unavailable, degraded while a queue's oldest
    /// task has waited for too long.</summary>
    /// <param name="name">The check's name.</param>
    /// <param name="oldest">How long a task may wait; 5 minutes by default.</param>
    /// <returns>This builder.</returns>
    public OttoQueueBuilder AddHealthCheck(string name = "otto-queue", TimeSpan? oldest = null)
    {
        TimeSpan limit = oldest ?? TimeSpan.FromMinutes(5);
        Services.AddHealthChecks().Add(
            new HealthCheckRegistration(name, services => new QueueHealthCheck(services.GetRequiredService<TaskQueue>(), limit),
                HealthStatus.Unhealthy, null));
        return this;
    }
}
