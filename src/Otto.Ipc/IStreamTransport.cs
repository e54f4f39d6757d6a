namespace Otto.Ipc;

// One receiver reads all messages, in the order of each sender.

/// <summary>
/// A transport with the <em>stream</em> shape: an ordered sequence of messages to one receiver, each kept until it is
/// read.
/// </summary>
public interface IStreamTransport : ITransport
{
    /// <summary>Opens the sending end, and creates the stream if it does not exist.</summary>
    /// <param name="name">The stream's name.</param>
    /// <param name="cancellationToken">Stops the opening.</param>
    /// <returns>The end, for one thread at a time.</returns>
    ValueTask<MessageSender> OpenSenderAsync(ChannelName name, CancellationToken cancellationToken = default);

    /// <summary>Opens the receiving end, and creates the stream if it does not exist.</summary>
    /// <param name="name">The stream's name.</param>
    /// <param name="cancellationToken">Stops the opening.</param>
    /// <returns>The end, for one thread at a time.</returns>
    ValueTask<MessageReceiver> OpenReceiverAsync(ChannelName name, CancellationToken cancellationToken = default);
}
