using Microsoft.Extensions.DependencyInjection.Extensions;
using Otto.Queue;
using Otto.Queue.Testing;

// In this namespace, as is usual, so that it is found wherever services are added.
namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Puts a program's task queue under a test's control.</summary>
public static class TestTaskQueueServiceCollectionExtensions
{
    /// <summary>Makes the queue of <c>AddOttoQueue</c> run in memory, driven by a <see cref="TestTaskQueue"/>
    /// that is resolved from the services. Call it after the program added its own.</summary>
    /// <param name="services">The program's services.</param>
    /// <param name="roundTripEveryTask">Whether each task is serialized, read back and compared.</param>
    /// <returns>The services.</returns>
    /// <remarks>The clock is the services' <see cref="TimeProvider"/> too. Resolve the
    /// <see cref="TestTaskQueue"/>, start the host, and run tasks.</remarks>
    public static IServiceCollection AddTestTaskQueue(this IServiceCollection services, bool roundTripEveryTask = true)
    {
        ArgumentNullException.ThrowIfNull(services);
        TestSettings settings = new(roundTripEveryTask, new TestClock());
        services.Replace(ServiceDescriptor.Singleton<TimeProvider>(settings.Route.Clock));
        services.AddSingleton(settings.Route.Clock);
        services.PostConfigure<TaskQueueOptions>(settings.Apply);
        services.AddSingleton(provider => new TestTaskQueue(settings, provider.GetRequiredService<TaskQueue>()));
        return services;
    }
}
