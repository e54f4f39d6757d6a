namespace Otto.Ipc;

// Each message goes to every subscriber.

/// <summary>
/// A transport with the <em>topic</em> shape: messages that every subscriber receives, each kept until it is
/// overwritten.
/// </summary>
public interface ITopicTransport : ITransport
{
    /// <summary>Opens a publishing end, and creates the topic if it does not exist.</summary>
    /// <param name="name">The topic's name.</param>
    /// <param name="cancellationToken">Stops the opening.</param>
    /// <returns>The end, for one thread at a time.</returns>
    ValueTask<MessagePublisher> OpenPublisherAsync(ChannelName name, CancellationToken cancellationToken = default);

    /// <summary>Opens a subscribing end, and creates the topic if it does not exist.</summary>
    /// <param name="name">The topic's name.</param>
    /// <param name="startAt">Where it begins.</param>
    /// <param name="cancellationToken">Stops the opening.</param>
    /// <returns>The end, for one thread at a time; it receives everything that is published after this.</returns>
    ValueTask<MessageSubscriber> OpenSubscriberAsync(ChannelName name, StartPosition startAt = StartPosition.Now,
        CancellationToken cancellationToken = default);
}
