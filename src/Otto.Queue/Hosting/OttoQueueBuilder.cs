using Microsoft.Extensions.DependencyInjection;

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
        foreach (TaskDeclaration declaration in _options.Declarations) declaration.Register?.Invoke(Services);
        return this;
    }
}
