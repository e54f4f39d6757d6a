using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using Otto.Queue;

// In this namespace, as is usual, so that it is found wherever services are added.
namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds the task queue to a program's services.</summary>
/// <remarks>
/// <para>Each call adds to the program's one queue: modules of a program can each call
/// <see cref="AddOttoQueue(IServiceCollection, Action{TaskQueueOptions}?)"/> for their own tasks. The options follow
/// the options pattern, so <c>services.Configure&lt;TaskQueueOptions&gt;</c> adds to them too.</para>
/// <para>Options are checked when the host starts: a value out of its range, or an unknown key, is an
/// <see cref="OptionsValidationException"/> that names the option, its value and its range. What a delegate passes
/// wrongly to a method of <see cref="TaskQueueOptions"/>, such as a name twice, is that method's
/// <see cref="ArgumentException"/>.</para>
/// </remarks>
public static class OttoQueueServiceCollectionExtensions
{
    /// <summary>Adds <see cref="ITaskQueue"/>, handlers, and workers that start and stop with the host.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Adds tasks and routes, and sets options.</param>
    /// <returns>A builder, to add more.</returns>
    public static OttoQueueBuilder AddOttoQueue(this IServiceCollection services, Action<TaskQueueOptions>? configure = null) =>
        Add(services, null, configure);

    /// <summary>Adds <see cref="ITaskQueue"/>, handlers, and workers that start and stop with the host, with options
    /// from a configuration section.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configuration">The queue's section, such as <c>Otto:Queue</c>. It overrides what code sets. Unknown
    /// keys are errors when the host starts.</param>
    /// <param name="configure">Adds tasks and routes, and sets options.</param>
    /// <returns>A builder, to add more.</returns>
    public static OttoQueueBuilder AddOttoQueue(this IServiceCollection services, IConfiguration configuration,
        Action<TaskQueueOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return Add(services, configuration, configure);
    }

    private static OttoQueueBuilder Add(IServiceCollection services, IConfiguration? configuration, Action<TaskQueueOptions>? configure)
    {
        ArgumentNullException.ThrowIfNull(services);
        OptionsBuilder<TaskQueueOptions> options = services.AddOptions<TaskQueueOptions>();
        if (!services.Any(static s => s.ServiceType == typeof(TaskQueue)))
        {
            options.Configure<IServiceProvider>(UseServices).ValidateOnStart();
            services.AddSingleton<IValidateOptions<TaskQueueOptions>, TaskQueueOptionsValidator>();
            // The monitor's instance is the one that is checked at start; IOptions<T> would make another.
            services.AddSingleton(static p => new TaskQueue(p.GetRequiredService<IOptionsMonitor<TaskQueueOptions>>().CurrentValue));
            services.AddSingleton<ITaskQueue>(static p => p.GetRequiredService<TaskQueue>());
            services.AddSingleton<IHostedService, TaskQueueHostedService>();
            services.TryAddTransient<CreatedHandler>();
        }

        if (configure is not null) options.Configure(configure);
        if (configuration is not null)
            services.AddSingleton<IPostConfigureOptions<TaskQueueOptions>>(new TaskQueueSection(configuration));
        return new OttoQueueBuilder(services);
    }

    private static void UseServices(TaskQueueOptions options, IServiceProvider services)
    {
        options.Services ??= services;
        options.LoggerFactory ??= services.GetService<ILoggerFactory>();
        if (options.TimeProvider == TimeProvider.System && services.GetService<TimeProvider>() is { } time) options.TimeProvider = time;
    }
}
