namespace Otto.Ipc;

// How messages travel. What travels is a shape (stream, queue); a transport offers a shape by implementing its interface.

/// <summary>A way for messages to travel, such as shared memory; ask it for a shape by the interface it implements.</summary>
/// <remarks>Safe for use by several threads. Disposing it closes nothing that was opened through it: each end is its opener's to dispose.</remarks>
public interface ITransport : IAsyncDisposable
{
    /// <summary>The name by which configuration chooses this transport, such as <c>mmap</c>.</summary>
    string Name { get; }

    /// <summary>What this transport is good at, as rows of the comparison table.</summary>
    TransportTraits Traits { get; }
}

/// <summary>A transport with the <em>stream</em> shape: an ordered run of frames into one receiver, each kept until it is read.</summary>
public interface IStreamTransport : ITransport
{
    /// <summary>Opens the sending end, and creates the stream where it does not exist.</summary>
    /// <param name="name">Which stream.</param>
    /// <param name="cancellationToken">Gives up opening.</param>
    /// <returns>The end, for one thread at a time.</returns>
    ValueTask<MessageSender> OpenSenderAsync(ChannelName name, CancellationToken cancellationToken = default);

    /// <summary>Opens the receiving end, and creates the stream where it does not exist.</summary>
    /// <param name="name">Which stream.</param>
    /// <param name="cancellationToken">Gives up opening.</param>
    /// <returns>The end, for one thread at a time.</returns>
    ValueTask<MessageReceiver> OpenReceiverAsync(ChannelName name, CancellationToken cancellationToken = default);
}

/// <summary>A transport with the <em>queue</em> shape: work that competing workers lease and acknowledge.</summary>
public interface IQueueTransport : ITransport
{
    /// <summary>Opens the queue, and creates it where it does not exist.</summary>
    /// <param name="name">Which queue.</param>
    /// <param name="cancellationToken">Gives up opening.</param>
    /// <returns>A handle that sends and leases, for any number of threads.</returns>
    ValueTask<IWorkQueue> OpenQueueAsync(ChannelName name, CancellationToken cancellationToken = default);
}

/// <summary>A transport with the <em>topic</em> shape: news that every subscriber hears, until it is overwritten.</summary>
public interface ITopicTransport : ITransport
{
    /// <summary>Opens a publishing end, and creates the topic where it does not exist.</summary>
    /// <param name="name">Which topic.</param>
    /// <param name="cancellationToken">Gives up opening.</param>
    /// <returns>The end, for one thread at a time.</returns>
    ValueTask<MessagePublisher> OpenPublisherAsync(ChannelName name, CancellationToken cancellationToken = default);

    /// <summary>Opens a subscribing end, and creates the topic where it does not exist.</summary>
    /// <param name="name">Which topic.</param>
    /// <param name="startAt">Where it begins.</param>
    /// <param name="cancellationToken">Gives up opening.</param>
    /// <returns>The end, for one thread at a time; it hears everything that is published after this.</returns>
    ValueTask<MessageSubscriber> OpenSubscriberAsync(ChannelName name, StartPosition startAt = StartPosition.Now, CancellationToken cancellationToken = default);
}

/// <summary>A transport with the <em>store</em> shape: the last value for each key, with watch.</summary>
public interface IStoreTransport : ITransport
{
    /// <summary>Opens a store, and creates it where it does not exist.</summary>
    /// <param name="name">Which store; each has keys of its own.</param>
    /// <param name="cancellationToken">Gives up opening.</param>
    /// <returns>The store, for any number of threads.</returns>
    ValueTask<IKeyValueStore> OpenStoreAsync(ChannelName name, CancellationToken cancellationToken = default);
}
