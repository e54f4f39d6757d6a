namespace Otto.Ipc;

// The subscribing end of a topic. What it hands out is its own copy: a topic's memory may be written over while it is read.

/// <summary>The subscribing end of a topic: every subscriber hears everything that is published while it keeps up.</summary>
/// <remarks>
/// For one thread at a time; overlapping use throws <see cref="InvalidOperationException"/> where it is noticed.
/// <see cref="Dispose"/> is safe beside calls in flight and may be called again.
/// Order is kept for each publisher; between publishers there is none. Who falls behind is told how many messages it lost.
/// </remarks>
public abstract class MessageSubscriber : IDisposable, IAsyncDisposable
{
    /// <summary>How many messages this subscriber has lost so far because it fell behind.</summary>
    public abstract long Lost { get; }

    /// <summary>Takes the next message, if there is one.</summary>
    /// <param name="message">The message; its bytes are this subscriber's copy, valid until the next call.</param>
    /// <returns><see langword="false"/> where no message waits.</returns>
    /// <exception cref="SubscriberDisconnectedException">The topic's policy is to eject who falls behind, and this subscriber did.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    public abstract bool TryReceive(out TopicMessage message);

    /// <summary>Goes on after an ejection; without one, skips what has piled up.</summary>
    /// <param name="startAt">With the oldest message that is still there and was not heard yet, or with what is published from now on.</param>
    /// <returns>How many messages were passed over. They are in <see cref="Lost"/>, and no <see cref="TopicMessage.Lost"/> tells of them again.</returns>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    public abstract long ResumeFrom(StartPosition startAt);

    /// <summary>Blocks until a message waits.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns><see langword="false"/> where the time ran out.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until a message waits.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>Completes when a message waits.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract ValueTask WaitToReceiveAsync(CancellationToken cancellationToken = default);

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
}

/// <summary>One message of a topic.</summary>
public readonly ref struct TopicMessage
{
    /// <summary>For transports: makes a message.</summary>
    /// <param name="bytes">Its bytes, in memory that nobody writes until the next call.</param>
    /// <param name="lost">How many of its publisher's messages were lost right before it.</param>
    public TopicMessage(ReadOnlySpan<byte> bytes, long lost)
    {
        Bytes = bytes;
        Lost = lost;
    }

    /// <summary>The message. Valid until the subscriber's next call.</summary>
    public ReadOnlySpan<byte> Bytes { get; }

    /// <summary>How many messages of the same publisher this subscriber lost right before this one; zero while it keeps up.</summary>
    public long Lost { get; }
}

/// <summary>Where a new subscriber begins.</summary>
public enum StartPosition
{
    /// <summary>With what is published from now on.</summary>
    Now,

    /// <summary>With the oldest message that is still there.</summary>
    Oldest,
}

/// <summary>A subscriber fell so far behind that its topic went on without it; <see cref="MessageSubscriber.ResumeFrom"/> goes on and says how much was lost.</summary>
/// <remarks>Only topics whose policy is to eject do this. No message comes from behind the gap before this was thrown.</remarks>
public sealed class SubscriberDisconnectedException : IOException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="message">Which subscriber, and by how much.</param>
    public SubscriberDisconnectedException(string message)
        : base(message)
    {
    }

    /// <summary>Makes the exception.</summary>
    public SubscriberDisconnectedException()
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Which subscriber, and by how much.</param>
    /// <param name="innerException">What was met underneath.</param>
    public SubscriberDisconnectedException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
