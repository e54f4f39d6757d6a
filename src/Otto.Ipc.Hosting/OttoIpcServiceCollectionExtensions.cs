using Microsoft.Extensions.Configuration;
using Otto.Ipc;
using Otto.Ipc.Hosting;

// In this namespace, as is usual, so that it is found wherever services are added.
namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds the transport that configuration chooses to a program's services.</summary>
public static class OttoIpcServiceCollectionExtensions
{
    /// <summary>Adds <see cref="ITransport"/>, and each shape that is asked for by its interface.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configuration">The section, such as <c>Otto:Ipc</c>, with <c>Transport</c> and where needed a section a transport. Unknown keys and addresses are errors when the host starts.</param>
    /// <param name="configure">What the program says; configuration has the last word.</param>
    /// <returns>The services.</returns>
    /// <remarks>
    /// A shape that the chosen transport does not offer is a <see cref="NotSupportedException"/> where it is asked for, which names what there is.
    /// The transport is disposed with the container, which has to be disposed asynchronously, as hosts do.
    /// </remarks>
    public static IServiceCollection AddOttoIpc(this IServiceCollection services, IConfiguration configuration, Action<OttoIpcOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        ArgumentNullException.ThrowIfNull(configuration);
        if (services.Any(static s => s.ServiceType == typeof(ITransport))) throw new InvalidOperationException("AddOttoIpc was called before; a program has one transport that configuration chooses, others are opened by OttoTransport.Open");
        services.AddOptions<OttoIpcOptions>()
            .Configure(options =>
            {
                configure?.Invoke(options);
                IpcConfiguration.Apply(options, configuration);
            })
            .Validate(static options => OttoTransport.Open(options) is not null)
            .ValidateOnStart();
        services.AddSingleton(static provider => OttoTransport.Open(provider.GetRequiredService<Options.IOptions<OttoIpcOptions>>().Value));
        services.AddSingleton(static provider => provider.GetRequiredService<ITransport>().Shape<IStreamTransport>());
        services.AddSingleton(static provider => provider.GetRequiredService<ITransport>().Shape<IQueueTransport>());
        services.AddSingleton(static provider => provider.GetRequiredService<ITransport>().Shape<ITopicTransport>());
        services.AddSingleton(static provider => provider.GetRequiredService<ITransport>().Shape<IStoreTransport>());
        return services;
    }
}
