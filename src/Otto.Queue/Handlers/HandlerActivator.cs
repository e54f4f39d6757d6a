using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using Microsoft.Extensions.DependencyInjection;

namespace Otto.Queue;

// Makes the handlers that a program declares by their type: from its services, or by their constructor.

internal abstract class HandlerActivator
{
    /// <summary>Gets the handler from the services, or makes one. What is made ends with its scope.</summary>
    internal abstract object Create(IServiceProvider? services);

    internal abstract Type HandlerType { get; }

    /// <summary>Finds what the handler's constructor asks for and the services do not have.</summary>
    /// <param name="services">The services.</param>
    /// <param name="byConstructor">Whether the services make the handler by its constructor too, if they have it: a
    /// factory of the program asks for what it likes.</param>
    /// <returns>A parameter's type; <see langword="null"/> if nothing is missing.</returns>
    internal abstract Type? FindMissing(IServiceProviderIsService services, bool byConstructor);
}

internal sealed class HandlerActivator<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] THandler>
    : HandlerActivator
    where THandler : class
{
    private ObjectFactory<THandler>? _factory;

    internal override object Create(IServiceProvider? services)
    {
        if (services is null) return Activator.CreateInstance<THandler>();
        if (services.GetService<THandler>() is { } registered) return registered;
        THandler created = Make(services);
        if (created is IDisposable or IAsyncDisposable) services.GetService<CreatedHandler>()?.Own(created);
        return created;
    }

    internal override Type HandlerType => typeof(THandler);

    internal override Type? FindMissing(IServiceProviderIsService services, bool byConstructor)
    {
        if (!byConstructor && services.IsService(typeof(THandler))) return null;
        Type? missing = null;
        foreach (ConstructorInfo constructor in typeof(THandler).GetConstructors())
        {
            ParameterInfo? lacks = Array.Find(constructor.GetParameters(), p => !p.HasDefaultValue && !services.IsService(p.ParameterType)
                && !p.IsDefined(typeof(FromKeyedServicesAttribute), inherit: false));
            if (lacks is null) return null;
            missing ??= lacks.ParameterType;
        }

        return missing;
    }

    // A factory is faster than looking for the constructor each time, but it needs to be the only one.
    private THandler Make(IServiceProvider services)
    {
        if (_factory is null && typeof(THandler).GetConstructors().Length != 1)
            return ActivatorUtilities.CreateInstance<THandler>(services);
        return (_factory ??= ActivatorUtilities.CreateFactory<THandler>([]))(services, null);
    }
}

/// <summary>Ends a handler that was made here together with the scope for which it was made.</summary>
internal sealed class CreatedHandler : IDisposable, IAsyncDisposable
{
    private object? _handler;

    internal void Own(object handler) => _handler = handler;

    public void Dispose() => (_handler as IDisposable)?.Dispose();

    public ValueTask DisposeAsync()
    {
        if (_handler is IAsyncDisposable handler) return handler.DisposeAsync();
        Dispose();
        return default;
    }
}
