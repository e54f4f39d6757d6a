using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using Otto.Ipc.Transports;

namespace Otto.Ipc;

// The queue shape: competing workers lease work and acknowledge it; what a dead worker held is given to another.
// A transport fills in the Try and Wait members; what follows from them is written once, here.

/// <summary>A queue of work: any number of senders, any number of workers, each message done at least once.</summary>
/// <remarks>
/// A handle may be used by any number of threads. First in, first out for one worker that completes in order; a
/// redelivery may overtake. Delayed messages join the end in the order of their times, as far as one worker at a time
/// sees that they are due. A lease has no deadline: it moves on only when its holder is proven dead.
/// <see cref="Dispose"/> refuses new calls, lets calls in flight finish, and keeps this participant alive for others
/// until its last lease is completed or abandoned. After that, calls throw
/// <see cref="ObjectDisposedException"/>, and waits end with it.
/// </remarks>
public abstract class WorkQueue : IDisposable, IAsyncDisposable
{
    private ExceptionDispatchInfo? _batchFailure;

    /// <summary>The longest delay of a message: 3,650 days.</summary>
    public static TimeSpan MaxDelay => TimeSpan.FromDays(3650);

    /// <summary>The queue's name.</summary>
    public abstract ChannelName Name { get; }

    /// <summary>The largest message in bytes.</summary>
    public abstract int MaxMessageBytes { get; }

    /// <summary>How many messages the queue holds: ready, delayed, leased and dead together.</summary>
    public abstract int Capacity { get; }

    /// <summary>Sends a copy of <paramref name="message"/> if there is room.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <returns><see langword="true"/> if the message was sent; <see langword="false"/> if the queue is full.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The message exceeds <see cref="MaxMessageBytes"/>; nothing was sent.
    /// </exception>
    public abstract bool TrySend(ReadOnlySpan<byte> message);

    /// <summary>
    /// Sends a copy of <paramref name="message"/> that no worker gets before <paramref name="delay"/> has passed, if
    /// there is room.
    /// </summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="delay">
    /// The shortest wait, by the machine's clock since its start: zero to <see cref="MaxDelay"/>.
    /// </param>
    /// <param name="id">Names the message for <see cref="Cancel"/>, until it is completed.</param>
    /// <returns><see langword="true"/> if the message was sent; <see langword="false"/> if the queue is full.</returns>
    /// <exception cref="ArgumentOutOfRangeException">
    /// The message or the delay exceeds its limit; nothing was sent.
    /// </exception>
    public abstract bool TrySend(ReadOnlySpan<byte> message, TimeSpan delay, out WorkId id);

    /// <summary>Sends a block that was borrowed here, if there is room for a message.</summary>
    /// <param name="loan">The block; it belongs to its message from then on.</param>
    /// <param name="bytes">How much of it is the message, from its beginning.</param>
    /// <returns>
    /// <see langword="true"/> if the block was sent; <see langword="false"/> if the queue is full, and the loan stays
    /// the caller's.
    /// </returns>
    /// <exception cref="ArgumentException">The loan is another queue's.</exception>
    /// <exception cref="InvalidOperationException">The loan was sent or returned.</exception>
    /// <exception cref="NotSupportedException">This queue lends no blocks.</exception>
    public virtual bool TrySend(in Loan loan, int bytes) =>
        throw new NotSupportedException("this queue does not support loans; call TrySend with the bytes");

    /// <summary>
    /// Borrows a block of the transport's memory, to be written in place and sent, however large, for the price of a
    /// small message.
    /// </summary>
    /// <param name="bytes">The size, 1 to <see cref="MaxMessageBytes"/>.</param>
    /// <param name="loan">The block. Send it, or dispose it.</param>
    /// <returns><see langword="true"/> if a block was lent; <see langword="false"/> if all blocks are lent.</returns>
    /// <exception cref="IOException">There is no room for such a block; the message has the numbers.</exception>
    /// <exception cref="NotSupportedException">This queue lends no blocks.</exception>
    public virtual bool TryLoan(int bytes, out Loan loan) =>
        throw new NotSupportedException("this queue does not support loans; call TrySend with the bytes");

    /// <summary>Reserves room for a message, to be written in place.</summary>
    /// <param name="maxBytes">The most bytes that will be committed, 0 to <see cref="MaxMessageBytes"/>.</param>
    /// <param name="slot">The room. Commit it, or dispose it to send nothing.</param>
    /// <returns><see langword="true"/> if room was reserved; <see langword="false"/> if the queue is full.</returns>
    public abstract bool TryReserve(int maxBytes, out WriteSlot slot);

    /// <summary>
    /// Stores a message that this process will work on itself: it is leased from the start and never ready, unless
    /// this process dies.
    /// </summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="lease">The message as a lease.</param>
    /// <returns>
    /// <see langword="true"/> if the message was stored; <see langword="false"/> if the queue is full.
    /// </returns>
    public abstract bool TrySendAndLease(ReadOnlySpan<byte> message, out WorkLease lease);

    /// <summary>Blocks until there is room for a message.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> to wait indefinitely.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>
    /// <see langword="true"/> if there is room, which another sender may still take; <see langword="false"/> if the
    /// time ran out.
    /// </returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public abstract bool WaitToSend(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until there is room for a message.</summary>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>Completes when there is room, which another sender may still take.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public abstract ValueTask WaitToSendAsync(CancellationToken cancellationToken = default);

    /// <summary>Sends a copy of <paramref name="message"/>, waiting for room as long as it takes.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="cancellationToken">Stops the waiting; a message that was sent stays sent.</param>
    /// <returns>Completes when the message is committed.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled before there was room.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder))]
    public virtual async ValueTask SendAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        while (!TrySend(message.Span)) await WaitToSendAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>
    /// Sends a copy of <paramref name="message"/> that no worker gets before <paramref name="delay"/> has passed,
    /// waiting for room as long as it takes.
    /// </summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="delay">The shortest wait, counted from when there is room.</param>
    /// <param name="cancellationToken">Stops the waiting; a message that was sent stays sent.</param>
    /// <returns>Names the message for <see cref="Cancel"/>; completes when the message is committed.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled before there was room.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public virtual async ValueTask<WorkId> SendAsync(
        ReadOnlyMemory<byte> message, TimeSpan delay, CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        WorkId id;
        while (!TrySend(message.Span, delay, out id)) await WaitToSendAsync(cancellationToken).ConfigureAwait(false);
        return id;
    }

    /// <summary>Takes back a message that no worker has begun: one that is ready, delayed, or was returned.</summary>
    /// <param name="id">The message, as its sending named it.</param>
    /// <returns>
    /// <see langword="true"/> if it was cancelled; <see langword="false"/> if a worker holds it, or it was completed,
    /// cancelled or given up.
    /// </returns>
    /// <remarks>
    /// The room of a delayed message is free at once; that of a ready one, when the queue comes to it.
    /// </remarks>
    public abstract bool Cancel(WorkId id);

    /// <summary>Leases the next message, if there is one.</summary>
    /// <param name="lease">The message, held until it is completed, abandoned or put among the dead letters.</param>
    /// <returns><see langword="true"/> if a message was leased; otherwise, <see langword="false"/>.</returns>
    public abstract bool TryLease(out WorkLease lease);

    /// <summary>Blocks until a message is ready.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> to wait indefinitely.</param>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>
    /// <see langword="true"/> if a message is ready, which another worker may still take; <see langword="false"/> if
    /// the time ran out.
    /// </returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public abstract bool WaitToLease(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until a message is ready.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>Completes when a message is ready, which another worker may still take.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public abstract ValueTask WaitToLeaseAsync(CancellationToken cancellationToken = default);

    /// <summary>Leases the next message, waiting as long as it takes.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>The message, held until it is completed, abandoned or put among the dead letters.</returns>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    [AsyncMethodBuilder(typeof(PoolingAsyncValueTaskMethodBuilder<>))]
    public virtual async ValueTask<WorkLease> LeaseAsync(CancellationToken cancellationToken = default)
    {
        cancellationToken.ThrowIfCancellationRequested();
        WorkLease lease;
        while (!TryLease(out lease)) await WaitToLeaseAsync(cancellationToken).ConfigureAwait(false);
        return lease;
    }

    /// <summary>Leases message after message, waiting whenever there is none.</summary>
    /// <param name="cancellationToken">Ends the enumeration; no message is lost by it.</param>
    /// <returns>
    /// The leases. The sequence has no end of its own: cancel it, leave the loop, or dispose the queue.
    /// </returns>
    /// <remarks>
    /// A message is leased only when the loop asks for it. End each lease in the loop: one that is not ended is held
    /// until this process dies. Several loops may run over one queue; each message goes to one of them.
    /// </remarks>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public virtual async IAsyncEnumerable<WorkLease> LeaseAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        while (true) yield return await LeaseAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Leases as many of the next messages as there are and <paramref name="leases"/> holds.</summary>
    /// <param name="leases">Where the leases go, from the beginning.</param>
    /// <returns>How many were leased.</returns>
    /// <remarks>
    /// A lease that fails after others were taken ends the batch: those that were taken are returned, and the next call
    /// throws.
    /// </remarks>
    public virtual int LeaseBatch(Span<WorkLease> leases)
    {
        if (Interlocked.Exchange(ref _batchFailure, null) is { } earlier) earlier.Throw();
        int count = 0;
        try
        {
            while (count < leases.Length && TryLease(out leases[count])) count++;
        }
        catch (Exception e) when (count > 0)
        {
            // Thrown now, it would leave the caller with leases that it does not know of.
            Volatile.Write(ref _batchFailure, ExceptionDispatchInfo.Capture(e));
        }

        return count;
    }

    /// <summary>Completes each of <paramref name="leases"/>.</summary>
    /// <param name="leases">Leases of this queue; leases of other queues are left alone.</param>
    /// <returns>How many of them were still held.</returns>
    public abstract int CompleteBatch(ReadOnlySpan<WorkLease> leases);

    /// <summary>
    /// How this process works on what it leases, until <see cref="WorkLease.SetHandling"/> says otherwise of a lease.
    /// </summary>
    /// <remarks>
    /// <see cref="WorkHandling.Alone"/> unless set, so that each death of a holder counts as an attempt. A queue that
    /// does not distinguish deaths ignores it.
    /// </remarks>
    public virtual WorkHandling DefaultHandling { get; set; }

    /// <summary>Whether this handle's process takes work from the queue; see <see cref="SetConsumer"/>.</summary>
    public abstract bool IsConsumer { get; }

    /// <summary>
    /// Announces to all processes whether this handle takes work from the queue, so that senders may rely on it. A
    /// new handle does not.
    /// </summary>
    /// <param name="consumes">Whether it takes work.</param>
    public abstract void SetConsumer(bool consumes);

    /// <summary>
    /// How many live consumers there are besides this handle. Costs one memory read while none joins or leaves.
    /// </summary>
    public abstract int OtherConsumers { get; }

    /// <summary>Counts what the queue holds, without stopping anyone; exact only while nothing moves.</summary>
    /// <returns>The counts.</returns>
    public abstract WorkQueueCounts GetCounts();

    /// <summary>Copies out dead letters for inspection.</summary>
    /// <param name="max">The most to return.</param>
    /// <returns>The dead letters, oldest slot first.</returns>
    public abstract IReadOnlyList<DeadLetter> GetDeadLetters(int max = 100);

    /// <summary>Makes a dead letter ready again, with its attempts reset.</summary>
    /// <param name="id">The dead letter.</param>
    /// <returns>
    /// <see langword="true"/> if it was requeued; <see langword="false"/> if it is no longer a dead letter.
    /// </returns>
    public abstract bool RequeueDeadLetter(DeadLetterId id);

    /// <summary>Deletes a dead letter.</summary>
    /// <param name="id">The dead letter.</param>
    /// <returns>
    /// <see langword="true"/> if it was removed; <see langword="false"/> if it is no longer a dead letter.
    /// </returns>
    public abstract bool DeleteDeadLetter(DeadLetterId id);

    /// <summary>
    /// Closes this handle: refuses new calls, ends waits, and lets leases and calls in flight finish. May be called
    /// again.
    /// </summary>
    public abstract void Dispose();

    /// <summary>Closes this handle, as <see cref="Dispose"/> does.</summary>
    /// <returns>Completes at once.</returns>
    public ValueTask DisposeAsync()
    {
        Dispose();
        GC.SuppressFinalize(this);
        return default;
    }
}
