using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Options;
using Otto.Ipc;
using Otto.Ipc.Hosting;

// In this namespace, as is usual, so that it is found wherever services are added.
namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Adds transports that configuration chooses to a program's services.</summary>
/// <remarks>
/// <para>Each call adds <see cref="ITransport"/> and the four shapes:
/// <see cref="IStreamTransport"/>, <see cref="IQueueTransport"/>,
/// <see cref="ITopicTransport"/> and <see cref="IStoreTransport"/>. A shape that the chosen
/// transport does not offer is a
/// <see cref="NotSupportedException"/> when it is resolved, which names the transports that offer it.</para>
/// <para>A program has at most one transport without a name, which <c>OTTO_TRANSPORT</c> in the environment overrides,
/// and any number with names. Those are keyed services: resolve them with
/// <c>[FromKeyedServices("name")]</c>. The environment does not change them.</para>
/// <para>Options are checked when the host starts: a mistake is an <see cref="OptionsValidationException"/>.
/// Transports are disposed with the container, which has to be disposed
/// asynchronously, as hosts do.</para>
/// </remarks>
public static class OttoIpcServiceCollectionExtensions
{
    /// <summary>Adds the program's transport, as a configuration section chooses it.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configuration">
    /// The section, such as <c>Otto:Ipc</c>, with <c>Transport</c> and, if needed, a section per transport. Unknown
    /// keys and addresses are errors when the host starts.
    /// </param>
    /// <param name="configure">Settings of the program; the section overrides them.</param>
    /// <returns>The services.</returns>
    /// <exception cref="InvalidOperationException">A transport without a name was added before.</exception>
    public static IServiceCollection AddOttoIpc(
        this IServiceCollection services, IConfiguration configuration, Action<OttoIpcOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        return Add(services, name: null, configure, configuration);
    }

    /// <summary>Adds the program's transport, as code chooses it.</summary>
    /// <param name="services">The services.</param>
    /// <param name="configure">Settings of the program.</param>
    /// <returns>The services.</returns>
    /// <exception cref="InvalidOperationException">A transport without a name was added before.</exception>
    public static IServiceCollection AddOttoIpc(this IServiceCollection services, Action<OttoIpcOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        return Add(services, name: null, configure);
    }

    /// <summary>Adds a transport with a name, by its address.</summary>
    /// <param name="services">The services.</param>
    /// <param name="name">The key of its services, and the name of its <see cref="OttoIpcOptions"/>.</param>
    /// <param name="address">The address, such as <c>mmap:</c> or <c>files:///var/lib/mine</c>.</param>
    /// <returns>The services.</returns>
    /// <exception cref="InvalidOperationException">A transport with this name was added before.</exception>
    public static IServiceCollection AddOttoIpc(this IServiceCollection services, string name, string address)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(address);
        return Add(services, name, options => options.Transport = address);
    }

    /// <summary>Adds a transport with a name, as a configuration section chooses it.</summary>
    /// <param name="services">The services.</param>
    /// <param name="name">The key of its services, and the name of its <see cref="OttoIpcOptions"/>.</param>
    /// <param name="configuration">
    /// The section of this transport, such as <c>Otto:Cache</c>, with the same keys as <c>Otto:Ipc</c>.
    /// </param>
    /// <param name="configure">Settings of the program; the section overrides them.</param>
    /// <returns>The services.</returns>
    /// <exception cref="InvalidOperationException">A transport with this name was added before.</exception>
    public static IServiceCollection AddOttoIpc(
        this IServiceCollection services, string name, IConfiguration configuration, Action<OttoIpcOptions>? configure = null)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(configuration);
        return Add(services, name, configure, configuration);
    }

    /// <summary>Adds a transport with a name, as code chooses it.</summary>
    /// <param name="services">The services.</param>
    /// <param name="name">The key of its services, and the name of its <see cref="OttoIpcOptions"/>.</param>
    /// <param name="configure">Settings of the program.</param>
    /// <returns>The services.</returns>
    /// <exception cref="InvalidOperationException">A transport with this name was added before.</exception>
    public static IServiceCollection AddOttoIpc(this IServiceCollection services, string name, Action<OttoIpcOptions> configure)
    {
        ArgumentException.ThrowIfNullOrEmpty(name);
        ArgumentNullException.ThrowIfNull(configure);
        return Add(services, name, configure);
    }

    private static IServiceCollection Add(
        IServiceCollection services, string? name, Action<OttoIpcOptions>? configure, IConfiguration? configuration = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        if (services.Any(s => s.ServiceType == typeof(ITransport) && Equals(s.ServiceKey, name)))
        {
            throw new InvalidOperationException(name is null
                ? "AddOttoIpc was called before without a name; give further transports names, as in AddOttoIpc(\"log\", \"files:\")"
                : $"AddOttoIpc was called before with the name '{name}'; each transport has a name of its own");
        }

        services.AddOptions<OttoIpcOptions>(name).ValidateOnStart();
        services.AddSingleton<IValidateOptions<OttoIpcOptions>>(
            new OttoIpcOptionsValidator(name ?? Options.Options.DefaultName, options => Open(name, options)));
        if (configure is not null) services.Configure(name, configure);
        if (configuration is not null)
        {
            services.AddSingleton<IPostConfigureOptions<OttoIpcOptions>>(
                new OttoIpcSection(name ?? Options.Options.DefaultName, configuration));
        }

        // A null key is a service without one.
        services.AddKeyedSingleton(name,
            (provider, _) => Open(name, provider.GetRequiredService<IOptionsMonitor<OttoIpcOptions>>().Get(name)));
        AddShape<IStreamTransport>(services, name);
        AddShape<IQueueTransport>(services, name);
        AddShape<ITopicTransport>(services, name);
        AddShape<IStoreTransport>(services, name);
        return services;
    }

    private static ITransport Open(string? name, OttoIpcOptions options) =>
        name is null ? OttoTransport.Open(options) : OttoTransport.OpenConfigured(options);

    private static void AddShape<T>(IServiceCollection services, string? name)
        where T : class, ITransport =>
        services.AddKeyedSingleton(name, (provider, _) => provider.GetRequiredKeyedService<ITransport>(name).Require<T>());
}
