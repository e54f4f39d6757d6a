using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Otto.Ipc;

// Typed messages over the byte contracts. Source-generated metadata only, so that nothing here needs reflection.

/// <summary>Sends and receives objects as JSON, with the metadata that a
/// <c>JsonSerializerContext</c> generates.</summary>
/// <remarks>
/// A message is the object's UTF-8 JSON and nothing else, so other languages can read it. A message that is not valid
/// JSON of the type is a <see cref="JsonException"/>; it has been received and is not
/// delivered again. The JSON value <c>null</c> is such an error too.
/// </remarks>
public static class JsonMessages
{
    /// <summary>Sends a value as JSON, waiting for room as long as it takes.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="sender">The sender of a stream.</param>
    /// <param name="value">The value.</param>
    /// <param name="typeInfo">The type's metadata, such as <c>AppJson.Default.Order</c>.</param>
    /// <param name="cancellationToken">Stops the waiting; a message that was sent stays sent.</param>
    /// <returns>Completes when the message is committed.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The JSON exceeds <see cref="MessageSender.MaxMessageBytes"/>; nothing was sent.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled before there was room.</exception>
    public static ValueTask SendAsync<T>(
        this MessageSender sender, T value, JsonTypeInfo<T> typeInfo, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(sender);
        return sender.SendAsync(JsonSerializer.SerializeToUtf8Bytes(value, typeInfo), cancellationToken);
    }

    /// <summary>
    /// Receives the next message as a value, waiting as long as it takes. The message is read in place, without a
    /// copy.
    /// </summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="receiver">The receiver of a stream.</param>
    /// <param name="typeInfo">The type's metadata.</param>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>The value.</returns>
    /// <exception cref="System.Threading.Channels.ChannelClosedException">
    /// The stream is completed and all its messages were read.
    /// </exception>
    /// <exception cref="JsonException">The message is not JSON of this type.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static ValueTask<T> ReceiveAsync<T>(
        this MessageReceiver receiver, JsonTypeInfo<T> typeInfo, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(receiver);
        ArgumentNullException.ThrowIfNull(typeInfo);
        return ReceiveOneAsync(receiver, typeInfo, cancellationToken);
    }

    /// <summary>Receives every message as a value until the stream is completed.</summary>
    /// <typeparam name="T">The type of the values.</typeparam>
    /// <param name="receiver">The receiver of a stream.</param>
    /// <param name="typeInfo">The type's metadata.</param>
    /// <param name="cancellationToken">Ends the enumeration; no message is lost by it.</param>
    /// <returns>The values, in the order of <see cref="MessageReceiver.ReadAllAsync"/>.</returns>
    public static IAsyncEnumerable<T> ReadAllAsync<T>(
        this MessageReceiver receiver, JsonTypeInfo<T> typeInfo, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(receiver);
        ArgumentNullException.ThrowIfNull(typeInfo);
        return ReadEachAsync(receiver, typeInfo, cancellationToken);
    }

    /// <summary>Publishes a value as JSON, waiting while a subscriber holds the publisher back.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="publisher">The publisher of a topic.</param>
    /// <param name="value">The value.</param>
    /// <param name="typeInfo">The type's metadata.</param>
    /// <param name="cancellationToken">Stops the waiting; a message that was published stays published.</param>
    /// <returns>Completes when the message is published.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The JSON exceeds <see cref="MessagePublisher.MaxMessageBytes"/>; nothing was published.
    /// </exception>
    public static ValueTask PublishAsync<T>(
        this MessagePublisher publisher, T value, JsonTypeInfo<T> typeInfo, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(publisher);
        return publisher.PublishAsync(JsonSerializer.SerializeToUtf8Bytes(value, typeInfo), cancellationToken);
    }

    /// <summary>Sends a value as JSON to a work queue, waiting for room as long as it takes.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="queue">The queue.</param>
    /// <param name="value">The value.</param>
    /// <param name="typeInfo">The type's metadata.</param>
    /// <param name="cancellationToken">Stops the waiting; a message that was sent stays sent.</param>
    /// <returns>Completes when the message is committed.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The JSON exceeds <see cref="WorkQueue.MaxMessageBytes"/>; nothing was sent.
    /// </exception>
    public static ValueTask SendAsync<T>(
        this WorkQueue queue, T value, JsonTypeInfo<T> typeInfo, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(queue);
        return queue.SendAsync(JsonSerializer.SerializeToUtf8Bytes(value, typeInfo), cancellationToken);
    }

    /// <summary>Reads a leased message as a value. The lease stays open.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="lease">The message.</param>
    /// <param name="typeInfo">The type's metadata.</param>
    /// <returns>The value.</returns>
    /// <exception cref="JsonException">The message is not JSON of this type.</exception>
    public static T Deserialize<T>(this WorkLease lease, JsonTypeInfo<T> typeInfo) => Read(lease.Payload.Span, typeInfo);

    /// <summary>Reads a message of a topic as a value.</summary>
    /// <typeparam name="T">The type of the value.</typeparam>
    /// <param name="message">The message.</param>
    /// <param name="typeInfo">The type's metadata.</param>
    /// <returns>The value.</returns>
    /// <exception cref="JsonException">The message is not JSON of this type.</exception>
    public static T Deserialize<T>(this TopicMessage message, JsonTypeInfo<T> typeInfo) => Read(message.Payload.Span, typeInfo);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    private static async ValueTask<T> ReceiveOneAsync<T>(
        MessageReceiver receiver, JsonTypeInfo<T> typeInfo, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        T value;
        while (!TryReceive(receiver, typeInfo, out value))
        {
            if (!await receiver.WaitToReceiveAsync(cancellationToken).ConfigureAwait(false)) throw MessageReceiver.Completed();
        }

        return value;
    }

    private static async IAsyncEnumerable<T> ReadEachAsync<T>(
        MessageReceiver receiver, JsonTypeInfo<T> typeInfo, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        while (await receiver.WaitToReceiveAsync(cancellationToken).ConfigureAwait(false))
        {
            while (!cancellationToken.IsCancellationRequested && TryReceive(receiver, typeInfo, out T value)) yield return value;
        }
    }

    private static bool TryReceive<T>(MessageReceiver receiver, JsonTypeInfo<T> typeInfo, out T value)
    {
        value = default!;
        if (!receiver.TryReceive(out ReadLease lease)) return false;
        using (lease) value = Read(lease.Bytes, typeInfo);
        return true;
    }

    private static T Read<T>(ReadOnlySpan<byte> json, JsonTypeInfo<T> typeInfo) => JsonSerializer.Deserialize(json, typeInfo)
        ?? throw new JsonException($"the message is the JSON value null, where a {typeof(T)} was expected");
}
