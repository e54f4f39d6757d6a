namespace Otto.Ipc;

// Each message goes to one of many workers.

/// <summary>A transport with the <em>queue</em> shape: work that competing workers lease and acknowledge.</summary>
public interface IQueueTransport : ITransport
{
    /// <summary>Opens the queue, and creates it if it does not exist.</summary>
    /// <param name="name">The queue's name.</param>
    /// <param name="cancellationToken">Stops the opening.</param>
    /// <returns>A handle that sends and leases, for any number of threads.</returns>
    ValueTask<WorkQueue> OpenQueueAsync(ChannelName name, CancellationToken cancellationToken = default);
}
