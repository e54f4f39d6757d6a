namespace Otto.Ipc.Hosting;

// From a line of text to a transport, and from a transport to a shape.

/// <summary>Opens the transport that a line of text names.</summary>
public static class OttoTransport
{
    /// <summary>The environment variable that overrides what a program was configured with.</summary>
    public const string EnvironmentVariable = "OTTO_TRANSPORT";

    /// <summary>Opens a transport by its address.</summary>
    /// <param name="address">
    /// A transport's name and a colon, and for another place than the usual one three
    /// slashes and a full path: <c>mmap:</c>,
    /// <c>mmap:///dev/shm/mine</c>, <c>uds:///run/me/otto.sock</c>, <c>fifo:///dir</c>, <c>files:///dir</c>.
    /// </param>
    /// <param name="options">
    /// What else the transports need; <see langword="null"/> for the defaults. <see cref="OttoIpcOptions.Transport"/>
    /// is ignored.
    /// </param>
    /// <returns>
    /// The transport. Get a shape from it by <see cref="Require{T}"/>, or by the interface it implements.
    /// </returns>
    /// <exception cref="ArgumentException">
    /// The address is none, or names a transport that does not exist; the message names those that do.
    /// </exception>
    public static ITransport Open(string address, OttoIpcOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(address);
        return TransportRegistry.Open(TransportAddress.Parse(address), options ?? new OttoIpcOptions());
    }

    /// <summary>Opens the transport that <c>OTTO_TRANSPORT</c> names, or else the one that the options name.</summary>
    /// <param name="options">The options.</param>
    /// <returns>The transport.</returns>
    /// <exception cref="ArgumentException">
    /// The same conditions as for <see cref="Open(string, OttoIpcOptions?)"/>. The message names the source of the
    /// address.
    /// </exception>
    public static ITransport Open(OttoIpcOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        string? overriding = Environment.GetEnvironmentVariable(EnvironmentVariable);
        return string.IsNullOrWhiteSpace(overriding) ? OpenConfigured(options) : Open(overriding, options, EnvironmentVariable);
    }

    /// <summary>Opens the transport that the options name, whatever the environment says.</summary>
    /// <exception cref="ArgumentException">The address is none, or names a transport that does not exist.</exception>
    internal static ITransport OpenConfigured(OttoIpcOptions options) => Open(options.Transport, options, nameof(OttoIpcOptions.Transport));

    private static ITransport Open(string address, OttoIpcOptions options, string source)
    {
        try
        {
            return Open(address, options);
        }
        catch (ArgumentException e)
        {
            throw new ArgumentException($"{source}: {e.Message}", e);
        }
    }

    /// <summary>Gets a shape of a transport, or throws if it does not offer it.</summary>
    /// <typeparam name="T">
    /// The shape: <see cref="IStreamTransport"/>, <see cref="IQueueTransport"/>, <see cref="ITopicTransport"/> or
    /// <see cref="IStoreTransport"/>.
    /// </typeparam>
    /// <param name="transport">The transport.</param>
    /// <returns>The same object.</returns>
    /// <exception cref="NotSupportedException">
    /// The transport does not offer the shape. The message lists the shapes that it offers, and the transports that
    /// offer the shape.
    /// </exception>
    public static T Require<T>(this ITransport transport)
        where T : class, ITransport
    {
        ArgumentNullException.ThrowIfNull(transport);
        return transport as T ?? throw new NotSupportedException(
            $"the transport '{transport.Name}' offers no {TransportRegistry.WordOf(typeof(T))}, it offers: "
            + $"{TransportRegistry.ShapesOf(transport.GetType())}. A {TransportRegistry.WordOf(typeof(T))} is offered by: "
            + $"{TransportRegistry.Offering(typeof(T))}");
    }
}
