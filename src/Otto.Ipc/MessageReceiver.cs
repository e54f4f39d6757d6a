namespace Otto.Ipc;

// The receiving end of a stream. A lease shows the bytes where they lie; disposing it is what counts as having read them.

/// <summary>The receiving end of a stream: look at a message in place, dispose the lease, take the next.</summary>
/// <remarks>
/// For one thread at a time; overlapping use throws <see cref="InvalidOperationException"/> where it is noticed.
/// <see cref="Dispose"/> is safe beside calls in flight and may be called again.
/// A message whose lease was never disposed is given to the next receiver of the stream.
/// Order is kept for each sender. Between senders there is none: each that has something waiting gets its turn.
/// </remarks>
public abstract class MessageReceiver : IDisposable, IAsyncDisposable, IReadLeaseOwner
{
    /// <summary>Whether there was a sender, every sender said that no more will come, and all that they sent was read.</summary>
    /// <remarks>One sender that ended without saying so keeps this <see langword="false"/> until a successor completes in its place.</remarks>
    public abstract bool IsCompleted { get; }

    /// <summary>Takes the next message, if there is one, without copying it.</summary>
    /// <param name="lease">The message. Dispose it before the next call; its bytes are valid until then.</param>
    /// <returns><see langword="false"/> where no message waits.</returns>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    public abstract bool TryReceive(out ReadLease lease);

    /// <summary>Blocks until a message waits.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns><see langword="false"/> where the time ran out, or <see cref="IsCompleted"/> became true.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until a message waits.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns><see langword="false"/> where <see cref="IsCompleted"/> became true.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default);

    /// <summary>Copies the next message into <paramref name="destination"/>, if there is one.</summary>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="bytes">How many bytes the message had.</param>
    /// <returns><see langword="false"/> where no message waits.</returns>
    /// <exception cref="ArgumentException"><paramref name="destination"/> is shorter than the message; the message stays for the next call.</exception>
    public abstract bool TryReceive(Span<byte> destination, out int bytes);

    /// <summary>Closes this end. What was not read stays for the next receiver.</summary>
    public abstract void Dispose();

    /// <summary>Closes this end, as <see cref="Dispose"/> does.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync()
    {
        Dispose();
        GC.SuppressFinalize(this);
        return default;
    }

    void IReadLeaseOwner.Release(in SlotToken token) => ReleaseLease(token);

    /// <summary>Counts a leased message as read; does nothing where its lease has ended.</summary>
    /// <param name="token">What the lease was made with.</param>
    protected abstract void ReleaseLease(in SlotToken token);
}
