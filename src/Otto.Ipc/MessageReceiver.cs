using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Otto.Ipc.Transports;

namespace Otto.Ipc;

// The receiving end of a stream. A lease shows the bytes in place; disposing it is what counts as having read them.

/// <summary>
/// The receiving end of a stream: lease a message in place, dispose the lease, take the next; or receive copies.
/// </summary>
/// <remarks>
/// For one thread at a time; overlapping use throws <see cref="InvalidOperationException"/> when it is detected.
/// <see cref="Dispose"/> is safe beside calls in flight and may be called again.
/// A message whose lease was never disposed is given to the next receiver of the stream.
/// Order is kept for each sender. Between senders there is none: each that has messages waiting gets its turn.
/// </remarks>
public abstract class MessageReceiver : IDisposable, IAsyncDisposable, IReadLeaseOwner
{
    /// <summary>
    /// Whether every sender has completed and all their messages were read; there was at least one sender.
    /// </summary>
    /// <remarks>
    /// A sender that ended without completing keeps this <see langword="false"/> until a successor completes in its
    /// place.
    /// </remarks>
    public abstract bool IsCompleted { get; }

    /// <summary>Takes the next message, if there is one, without copying it.</summary>
    /// <param name="lease">The message. Dispose it before the next call; its bytes are valid until then.</param>
    /// <returns><see langword="true"/> if there was a message; otherwise, <see langword="false"/>.</returns>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    public abstract bool TryReceive(out ReadLease lease);

    /// <summary>Blocks until a message waits.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> to wait indefinitely.</param>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>
    /// <see langword="true"/> if a message waits; <see langword="false"/> if the time ran out or
    /// <see cref="IsCompleted"/> became true.
    /// </returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract bool WaitToReceive(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until a message waits.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>
    /// <see langword="true"/> if a message waits; <see langword="false"/> if <see cref="IsCompleted"/> became true.
    /// </returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract ValueTask<bool> WaitToReceiveAsync(CancellationToken cancellationToken = default);

    /// <summary>Copies the next message into <paramref name="destination"/>, if there is one.</summary>
    /// <param name="destination">Where the bytes go.</param>
    /// <param name="bytes">How many bytes the message had.</param>
    /// <returns><see langword="true"/> if there was a message; otherwise, <see langword="false"/>.</returns>
    /// <exception cref="ArgumentException">
    /// <paramref name="destination"/> is shorter than the message; the message stays for the next call.
    /// </exception>
    public abstract bool TryReceive(Span<byte> destination, out int bytes);

    /// <summary>Receives a copy of the next message, waiting as long as it takes.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>
    /// The message, in memory of the caller's own. To read a message in place, use
    /// <see cref="TryReceive(out ReadLease)"/>.
    /// </returns>
    /// <remarks>
    /// The message counts as read when this completes. A cancelled call has taken none. What
    /// <see cref="TryReceive(out ReadLease)"/> throws, this throws too.
    /// </remarks>
    /// <exception cref="ChannelClosedException"><see cref="IsCompleted"/> is or became true.</exception>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public virtual async ValueTask<ReadOnlyMemory<byte>> ReceiveAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        ReadOnlyMemory<byte> message;
        while (!TryReceiveCopy(out message))
        {
            if (!await WaitToReceiveAsync(cancellationToken).ConfigureAwait(false)) throw Completed();
        }

        return message;
    }

    /// <summary>
    /// Receives copies of all messages until the stream is completed, waiting whenever there is none.
    /// </summary>
    /// <param name="cancellationToken">Ends the enumeration; no message is lost by it.</param>
    /// <returns>
    /// The messages, each in memory of the caller's own. The sequence ends when <see cref="IsCompleted"/> becomes
    /// true.
    /// </returns>
    /// <remarks>
    /// A message is taken only when the loop asks for it, and counts as read from then on; leaving the loop leaves the
    /// rest to the next receiver or the next loop. What
    /// <see cref="TryReceive(out ReadLease)"/> throws ends the enumeration.
    /// </remarks>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or during the enumeration.</exception>
    public virtual async IAsyncEnumerable<ReadOnlyMemory<byte>> ReadAllAsync(
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (await WaitToReceiveAsync(cancellationToken).ConfigureAwait(false))
        {
            while (!cancellationToken.IsCancellationRequested && TryReceiveCopy(out ReadOnlyMemory<byte> message)) yield return message;
        }
    }

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

    internal static ChannelClosedException Completed() =>
        new("the stream is completed: every sender has completed, and all messages were read");

    /// <summary>Counts a leased message as read; does nothing if its lease has ended.</summary>
    /// <param name="token">What the lease was made with.</param>
    protected abstract void ReleaseLease(in SlotToken token);

    private bool TryReceiveCopy(out ReadOnlyMemory<byte> message)
    {
        message = default;
        if (!TryReceive(out ReadLease lease)) return false;
        using (lease) message = lease.Bytes.ToArray();
        return true;
    }
}
