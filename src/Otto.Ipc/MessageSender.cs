using System.Runtime.CompilerServices;
using Otto.Ipc.Transports;

namespace Otto.Ipc;

// The sending end of a stream. A transport implements reserve, commit and wait; everything else is written once, here.

/// <summary>
/// The sending end of a stream: reserve room, write in place, commit; or send bytes that you already have.
/// </summary>
/// <remarks>
/// For one thread at a time; overlapping use throws <see cref="InvalidOperationException"/> when it is detected.
/// <see cref="Dispose"/> is safe beside calls in flight and may be called repeatedly.
/// Full is an answer, not an error: nothing is dropped to make room.
/// </remarks>
public abstract class MessageSender : IDisposable, IAsyncDisposable, IWriteSlotOwner
{
    /// <summary>The largest message in bytes.</summary>
    public abstract int MaxMessageBytes { get; }

    /// <summary>Reserves room for a message, to be written in place.</summary>
    /// <param name="maxBytes">The most bytes that will be committed, 0 to <see cref="MaxMessageBytes"/>.</param>
    /// <param name="slot">
    /// The room. Commit it, or dispose it to send nothing. Until then no other call is allowed.
    /// </param>
    /// <returns>
    /// <see langword="true"/> if room was reserved; <see langword="false"/> if there is none now: wait with
    /// <see cref="WaitToSend"/>.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// <paramref name="maxBytes"/> is negative or exceeds the limit; nothing was written.
    /// </exception>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    public abstract bool TryReserve(int maxBytes, out WriteSlot slot);

    /// <summary>Sends a copy of <paramref name="message"/> if there is room.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <returns>
    /// <see langword="true"/> if the message was sent; <see langword="false"/> if there is no room now.
    /// </returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The message exceeds <see cref="MaxMessageBytes"/>; nothing was written.
    /// </exception>
    /// <exception cref="ObjectDisposedException">This end was disposed.</exception>
    public abstract bool TrySend(ReadOnlySpan<byte> message);

    /// <summary>Blocks until a message of <paramref name="bytes"/> has room.</summary>
    /// <param name="bytes">The size of the message to come.</param>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> to wait indefinitely.</param>
    /// <param name="cancellationToken">Stops the waiting; nothing that was sent is taken back.</param>
    /// <returns><see langword="true"/> if there is room; <see langword="false"/> if the time ran out.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract bool WaitToSend(int bytes, TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until a message of <paramref name="bytes"/> has room.</summary>
    /// <param name="bytes">The size of the message to come.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>Completes when there is room.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public abstract ValueTask WaitToSendAsync(int bytes, CancellationToken cancellationToken = default);

    /// <summary>
    /// Marks this sender as complete. Pending receives finish when every sender has completed and all messages were
    /// read.
    /// </summary>
    /// <remarks>
    /// Further sends throw <see cref="InvalidOperationException"/>. A sender that is only disposed, or dies, may have a
    /// successor, so the receiver keeps waiting; the next sender to open takes its place and has to complete. Opening a
    /// sender on a completed stream starts it again.
    /// </remarks>
    public abstract void Complete();

    /// <summary>Sends a copy of <paramref name="message"/>, waiting for room as long as it takes.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="cancellationToken">Stops the waiting; a message that was sent stays sent.</param>
    /// <returns>Completes when the message is committed.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled before there was room.</exception>
    public ValueTask SendAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken = default)
    {
        if (cancellationToken.IsCancellationRequested) return ValueTask.FromCanceled(cancellationToken);
        return TrySend(message.Span) ? default : SendWhenThereIsRoomAsync(message, cancellationToken);
    }

    /// <summary>
    /// Borrows a block of the transport's memory, to be written in place and sent, however large, for the price of a
    /// small message.
    /// </summary>
    /// <param name="bytes">
    /// How many bytes, at least 1; more than <see cref="MaxMessageBytes"/> is what this is for.
    /// </param>
    /// <param name="loan">The block. Send it here, or dispose it; other calls are allowed meanwhile.</param>
    /// <returns><see langword="true"/> if a block was lent; <see langword="false"/> if all blocks are lent.</returns>
    /// <exception cref="IOException">There is no room for such a block; the message has the numbers.</exception>
    /// <exception cref="NotSupportedException">This transport does not support loans.</exception>
    public virtual bool TryLoan(int bytes, out Loan loan) =>
        throw new NotSupportedException("this transport does not support loans; call TrySend with the bytes");

    /// <summary>Sends a block that was borrowed here, if there is room for a small message.</summary>
    /// <param name="loan">The block; it belongs to its message from then on.</param>
    /// <param name="bytes">How much of it is the message, from its beginning.</param>
    /// <returns>
    /// <see langword="true"/> if the block was sent; <see langword="false"/> if there is no room now, and the loan
    /// stays the caller's.
    /// </returns>
    /// <exception cref="ArgumentException">The loan is from another end.</exception>
    /// <exception cref="InvalidOperationException">The loan was sent or returned.</exception>
    public virtual bool TrySend(in Loan loan, int bytes) =>
        throw new NotSupportedException("this transport does not support loans; call TrySend with the bytes");

    /// <summary>
    /// Waits until what was sent no longer needs this process: it could end, and the receiver would still read
    /// everything.
    /// </summary>
    /// <remarks>
    /// Most transports complete at once. A sender over sockets keeps its messages until a receiver has them.
    /// </remarks>
    /// <param name="cancellationToken">Stops the waiting; nothing is taken back.</param>
    /// <returns>Completes when this process is not needed any more.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    /// <exception cref="ObjectDisposedException">This end was disposed, before or while waiting.</exception>
    public virtual ValueTask FlushAsync(CancellationToken cancellationToken = default) => default;

    /// <summary>Closes this end. What was committed stays for the receiver.</summary>
    public abstract void Dispose();

    /// <summary>Closes this end, as <see cref="Dispose"/> does.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync()
    {
        Dispose();
        GC.SuppressFinalize(this);
        return default;
    }

    bool IWriteSlotOwner.Commit(in SlotToken token, int bytes) => CommitSlot(token, bytes);

    void IWriteSlotOwner.Abort(in SlotToken token) => AbortSlot(token);

    /// <summary>Publishes what was written into a reserved slot.</summary>
    /// <param name="token">What the slot was made with.</param>
    /// <param name="bytes">How many bytes were written.</param>
    /// <returns><see langword="false"/> if the slot is no longer open.</returns>
    protected abstract bool CommitSlot(in SlotToken token, int bytes);

    /// <summary>Gives a reserved slot back unsent; does nothing if it is no longer open.</summary>
    /// <param name="token">What the slot was made with.</param>
    protected abstract void AbortSlot(in SlotToken token);

    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    private async ValueTask SendWhenThereIsRoomAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        do await WaitToSendAsync(message.Length, cancellationToken).ConfigureAwait(false);
        while (!TrySend(message.Span));
    }
}
