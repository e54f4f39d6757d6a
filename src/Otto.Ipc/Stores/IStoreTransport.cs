namespace Otto.Ipc;

// Values instead of messages.

/// <summary>
/// A transport with the <em>store</em> shape: the last value for each key, with notification of changes.
/// </summary>
public interface IStoreTransport : ITransport
{
    /// <summary>Opens a store, and creates it if it does not exist.</summary>
    /// <param name="name">The store's name; each store has keys of its own.</param>
    /// <param name="cancellationToken">Stops the opening.</param>
    /// <returns>The store, for any number of threads.</returns>
    ValueTask<IKeyValueStore> OpenStoreAsync(ChannelName name, CancellationToken cancellationToken = default);
}
