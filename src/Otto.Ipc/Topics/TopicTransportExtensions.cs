using System.Runtime.CompilerServices;

namespace Otto.Ipc;

// A subscription in one line: opened by the first step of the enumeration, closed by its end.

/// <summary>Subscribes to a topic as an asynchronous sequence of messages.</summary>
public static class TopicTransportExtensions
{
    /// <summary>Subscribes to what is published from now on.</summary>
    /// <param name="transport">A transport with topics.</param>
    /// <param name="name">The topic; it is created if it does not exist.</param>
    /// <param name="cancellationToken">Ends the subscription.</param>
    /// <returns>The messages. The sequence has no end of its own: cancel it, or leave the loop.</returns>
    /// <remarks>
    /// The subscription begins when the enumeration begins, and is closed when the loop is left.
    /// <see cref="TopicMessage.Lost"/> is the number of messages that were lost before each
    /// one. A topic that disconnects slow subscribers ends the sequence with a
    /// <see cref="SubscriberDisconnectedException"/>.
    /// </remarks>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static IAsyncEnumerable<TopicMessage> SubscribeAsync(
        this ITopicTransport transport, ChannelName name, CancellationToken cancellationToken = default) =>
        SubscribeAsync(transport, name, StartPosition.Now, cancellationToken);

    /// <summary>Subscribes to a topic from a given position.</summary>
    /// <param name="transport">A transport with topics.</param>
    /// <param name="name">The topic; it is created if it does not exist.</param>
    /// <param name="startAt">The position of the first message.</param>
    /// <param name="cancellationToken">Ends the subscription.</param>
    /// <returns>
    /// The messages, as <see cref="SubscribeAsync(ITopicTransport, ChannelName, CancellationToken)"/> returns them.
    /// </returns>
    /// <exception cref="NotSupportedException">
    /// The transport keeps no messages, so that it cannot start at the oldest.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static IAsyncEnumerable<TopicMessage> SubscribeAsync(
        this ITopicTransport transport, ChannelName name, StartPosition startAt, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(transport);
        _ = name.Value;
        return EnumerateAsync(transport, name, startAt, cancellationToken);
    }

    private static async IAsyncEnumerable<TopicMessage> EnumerateAsync(
        ITopicTransport transport, ChannelName name, StartPosition startAt, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using MessageSubscriber subscriber = await transport.OpenSubscriberAsync(name, startAt, cancellationToken).ConfigureAwait(false);
        await foreach (TopicMessage message in subscriber.ReadAllAsync(cancellationToken).ConfigureAwait(false)) yield return message;
    }
}
