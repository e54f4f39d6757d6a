using System.Diagnostics.CodeAnalysis;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Otto.Queue;

// What AddOttoQueue returns. Each method configures TaskQueueOptions; those for handlers register the handler's type too.

/// <summary>Adds to the queue that a host runs.</summary>
public sealed class OttoQueueBuilder
{
    internal OttoQueueBuilder(IServiceCollection services) => Services = services;

    /// <summary>Gets the services that the queue was added to.</summary>
    public IServiceCollection Services { get; }

    /// <summary>Configures the queue's options further.</summary>
    /// <param name="configure">Adds tasks and routes, and sets options.</param>
    /// <returns>This builder.</returns>
    public OttoQueueBuilder Configure(Action<TaskQueueOptions> configure)
    {
        Services.Configure(configure);
        return this;
    }

    /// <summary>Adds a handler by its type alone, and registers the type as transient if it is not
    /// registered.</summary>
    /// <typeparam name="THandler">The handler's type.</typeparam>
    /// <param name="configure">Sets the options of its tasks.</param>
    /// <returns>This builder.</returns>
    /// <inheritdoc cref="TaskQueueOptions.AddHandler{THandler}(Action{HandlerOptions})" path="/remarks"/>
    [RequiresDynamicCode("The task's type is found at run time. Use AddHandler<TTask, THandler>() in a native program.")]
    public OttoQueueBuilder AddHandler<[DynamicallyAccessedMembers(
        DynamicallyAccessedMemberTypes.PublicConstructors | DynamicallyAccessedMemberTypes.Interfaces)] THandler>(
        Action<HandlerOptions>? configure = null)
        where THandler : class
    {
        return Configure(Register<THandler>() + (options => options.AddHandler<THandler>(configure)));
    }

    /// <summary>Adds a handler by its type, and registers the type as transient if it is not registered.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <typeparam name="THandler">The handler's type.</typeparam>
    /// <param name="name">The task's stable name; <see langword="null"/> for the name that
    /// <see cref="TaskNameAttribute"/> gives to the handler or the task type, or else the name of the task
    /// type.</param>
    /// <param name="configure">Sets the options of these tasks.</param>
    /// <returns>This builder.</returns>
    public OttoQueueBuilder AddHandler<TTask, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)]
        THandler>(string? name = null, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        where THandler : class, ITaskHandler<TTask>
    {
        return Configure(Register<THandler>() + (options => options.AddHandler<TTask, THandler>(name, configure)));
    }

    /// <summary>Adds a handler with a result by its type, and registers the type as transient if it is not
    /// registered.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <typeparam name="TResult">The result's type.</typeparam>
    /// <typeparam name="THandler">The handler's type.</typeparam>
    /// <param name="name">The task's stable name, or <see langword="null"/> as above.</param>
    /// <param name="configure">Sets the options of these tasks.</param>
    /// <returns>This builder.</returns>
    public OttoQueueBuilder AddHandler<TTask, TResult, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)]
        THandler>(string? name = null, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        where THandler : class, ITaskHandler<TTask, TResult>
    {
        return Configure(Register<THandler>() + (options => options.AddHandler<TTask, TResult, THandler>(name, configure)));
    }

    /// <summary>Adds a task that this process only sends.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <param name="name">The task's stable name; <see langword="null"/> for the name that
    /// <see cref="TaskNameAttribute"/> gives to the task type, or else the name of the task type.</param>
    /// <param name="configure">Sets its queue and serializer.</param>
    /// <returns>This builder.</returns>
    public OttoQueueBuilder AddProducer<TTask>(string? name = null, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        => Configure(options => options.AddProducer<TTask>(name, configure));

    /// <summary>Configures how tasks travel within this process.</summary>
    /// <param name="configure">Sets the bounds.</param>
    /// <returns>This builder.</returns>
    public OttoQueueBuilder UseInProcess(Action<InProcessOptions> configure) => Configure(options => options.UseInProcess(configure));

    /// <summary>Uses shared memory between the processes of this machine. On by default: call this to say how, or to
    /// switch it off.</summary>
    /// <param name="configure">Sets where, and how large.</param>
    /// <returns>This builder.</returns>
    public OttoQueueBuilder UseSharedMemory(Action<SharedMemoryOptions>? configure = null) =>
        Configure(options => options.UseSharedMemory(configure));

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

    // What is registered here is made by its constructor, so what that asks for can be checked when the host starts.
    private Action<TaskQueueOptions> Register<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] THandler>()
        where THandler : class
    {
        if (Services.Any(static service => service.ServiceType == typeof(THandler))) return static _ => { };
        Services.AddTransient<THandler>();
        return static options => options.HandlersByConstructor.Add(typeof(THandler));
    }
}
