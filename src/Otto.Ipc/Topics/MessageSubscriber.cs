using System.Runtime.CompilerServices;

namespace Otto.Ipc;

// The subscribing end of a topic. What it hands out is its own copy: a topic's memory may be written over while it is read.

/// <summary>The subscribing end of a topic: every subscriber receives every message while it keeps up.</summary>
/// <remarks>
/// For one thread at a time; overlapping use throws <see cref="InvalidOperationException"/> when it is detected.
/// <see cref="Dispose"/> is safe beside calls in flight and may be called again.
/// Order is kept for each publisher; between publishers there is none. A subscriber that
/// falls behind learns how many messages it lost.
/// </remarks>
public abstract class MessageSubscriber : IDisposable, IAsyncDisposable
{
    /// <summary>How many messages this subscriber has lost so far because it fell behind.</summary>
    public abstract long Lost { get; }

    /// <summary>Takes the next message, if there is one.</summary>
    /// <param name="message">The message; its bytes are this subscriber's copy, valid until the next call.</param>
    /// <returns><see langword="true"/> if there was a message; otherwise, <see langword="false"/>.</returns>
    /// <exception cref="SubscriberDisconnectedException">
    /// The topic disconnects slow subscribers, and this one was too slow.
    /// </exception>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    public abstract bool TryReceive(out TopicFrame message);

    /// <summary>Resumes after a disconnection; without one, skips the messages that wait.</summary>
    /// <param name="startAt">
    /// The oldest message that is still there and was not received yet, or what is published from now on.
    /// </param>
    /// <returns>
    /// How many messages were skipped. They are included in <see cref="Lost"/>, and in no later
    /// <see cref="TopicFrame.Lost"/>.
    /// </returns>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    public abstract long ResumeFrom(StartPosition startAt);

    /// <summary>Blocks until a message waits.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> to wait indefinitely.</param>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns><see langword="true"/> if a message waits; <see langword="false"/> if the time ran out.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until a message waits.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>Completes when a message waits.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract ValueTask WaitToReceiveAsync(CancellationToken cancellationToken = default);

    /// <summary>Receives a copy of the next message, waiting as long as it takes.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>
    /// The message, in memory of the caller's own. A topic has no end, so this waits until there is one.
    /// </returns>
    /// <exception cref="SubscriberDisconnectedException">
    /// The topic disconnects slow subscribers, and this one was too slow.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public virtual async ValueTask<TopicMessage> ReceiveAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        TopicMessage message;
        while (!TryReceiveCopy(out message)) await WaitToReceiveAsync(cancellationToken).ConfigureAwait(false);
        return message;
    }

    /// <summary>Receives copies of all messages, waiting whenever there is none.</summary>
    /// <param name="cancellationToken">Ends the enumeration; no message is lost by it.</param>
    /// <returns>
    /// The messages. The sequence has no end of its own: cancel it, leave the loop, or dispose this end.
    /// </returns>
    /// <remarks>
    /// <see cref="TopicMessage.Lost"/> is the number of messages that were lost before each one. A
    /// <see cref="SubscriberDisconnectedException"/> ends the enumeration; call
    /// <see cref="ResumeFrom"/> and enumerate again.
    /// </remarks>
    /// <exception cref="SubscriberDisconnectedException">
    /// The topic disconnects slow subscribers, and this one was too slow.
    /// </exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or during the enumeration.</exception>
    public virtual async IAsyncEnumerable<TopicMessage> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (true) yield return await ReceiveAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Closes this end.</summary>
    public abstract void Dispose();

    /// <summary>Closes this end, as <see cref="Dispose"/> does.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync()
    {
        Dispose();
        GC.SuppressFinalize(this);
        return default;
    }

    private bool TryReceiveCopy(out TopicMessage message)
    {
        message = default;
        if (!TryReceive(out TopicFrame frame)) return false;
        message = new TopicMessage(frame.Bytes.ToArray(), frame.Lost);
        return true;
    }
}
