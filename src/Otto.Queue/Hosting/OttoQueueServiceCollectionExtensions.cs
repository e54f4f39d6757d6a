using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Otto.Queue;

// In this namespace, as is usual, so that it is found wherever services are added.
namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds the task queue to a program's services.</summary>
public static class OttoQueueServiceCollectionExtensions
{
    /// <summary>Adds <see cref="ITaskQueue"/>, the handlers, and workers that start and stop with the host.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configuration">The queue's section, such as <c>Otto:Queue</c>; it has the last word over
    /// <paramref name="configure"/>. Unknown keys are errors when the host starts.</param>
    /// <param name="configure">The tasks and routes.</param>
    /// <returns>A builder, to add more.</returns>
    public static OttoQueueBuilder AddOttoQueue(this IServiceCollection services, IConfiguration configuration,
        Action<TaskQueueOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return Add(services, configuration, configure);
    }

    /// <summary>Adds <see cref="ITaskQueue"/>, the handlers, and workers that start and stop with the host.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">The tasks and routes.</param>
    /// <returns>A builder, to add more.</returns>
    public static OttoQueueBuilder AddOttoQueue(this IServiceCollection services, Action<TaskQueueOptions> configure) =>
        Add(services, null, configure);

    private static OttoQueueBuilder Add(IServiceCollection services, IConfiguration? configuration, Action<TaskQueueOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (services.Any(static s => s.ServiceType == typeof(ITaskQueue)))
            throw new InvalidOperationException(
                "AddOttoQueue was called before; keep the builder that it returned, and call Configure to add more");
        TaskQueueOptions options = new();
        services.AddSingleton(provider =>
        {
            options.Services ??= provider;
            options.LoggerFactory ??= provider.GetService<ILoggerFactory>();
            if (provider.GetService<TimeProvider>() is { } time) options.TimeProvider = time;
            if (configuration is not null) TaskQueueConfiguration.Apply(options, configuration);
            TaskQueueAdjustment[] adjustments = [.. provider.GetServices<TaskQueueAdjustment>()];
            foreach (TaskQueueAdjustment adjustment in adjustments) adjustment.Options(options);
            TaskQueue queue = new(options);
            foreach (TaskQueueAdjustment adjustment in adjustments) adjustment.Made(queue);
            return queue;
        });
        services.AddSingleton<ITaskQueue>(static provider => provider.GetRequiredService<TaskQueue>());
        services.AddSingleton<IHostedService, TaskQueueHostedService>();
        return new OttoQueueBuilder(services, options).Configure(configure);
    }
}
