namespace Otto.Ipc;

// The queue shape: competing workers lease work and acknowledge it; what a dead worker held is given to another.

/// <summary>A queue of work: any number of senders, any number of workers, each message done at least once.</summary>
/// <remarks>
/// A handle may be used by any number of threads. First in, first out for one worker that completes in order; a redelivery may overtake.
/// Messages for later join the end in the order of their times, as far as one worker at a time sees that they are due.
/// A lease has no deadline: it moves on only when its holder is proven dead. <see cref="IDisposable.Dispose"/> refuses new calls,
/// lets calls in flight finish, and keeps this participant alive for others until its last lease is completed or abandoned.
/// </remarks>
public interface IWorkQueue : IDisposable, IAsyncDisposable
{
    /// <summary>The queue's name.</summary>
    ChannelName Name { get; }

    /// <summary>The largest message in bytes.</summary>
    int MaxMessageBytes { get; }

    /// <summary>How many messages the queue holds, ready, leased and dead together.</summary>
    int Capacity { get; }

    /// <summary>Sends a copy of <paramref name="message"/> if there is room.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <returns><see langword="false"/> where the queue is full; nothing was sent.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The message exceeds <see cref="MaxMessageBytes"/>; nothing was written.</exception>
    bool TrySend(ReadOnlySpan<byte> message);

    /// <summary>Reserves room for a message, to be written in place.</summary>
    /// <param name="maxBytes">The most bytes that will be committed, 0 to <see cref="MaxMessageBytes"/>.</param>
    /// <param name="slot">The room. Commit it, or dispose it to send nothing.</param>
    /// <returns><see langword="false"/> where the queue is full.</returns>
    bool TryReserve(int maxBytes, out WriteSlot slot);

    /// <summary>Borrows a block of the transport's memory, to be written in place and sent, however large, for the price of a small message.</summary>
    /// <param name="bytes">How many bytes, 1 to <see cref="MaxMessageBytes"/>.</param>
    /// <param name="loan">The block. Send it, or dispose it.</param>
    /// <returns><see langword="false"/> where all blocks are lent.</returns>
    /// <exception cref="IOException">There is no room for such a block; the message has the numbers.</exception>
    /// <exception cref="NotSupportedException">This queue lends nothing.</exception>
    bool TryLoan(int bytes, out Loan loan);

    /// <summary>Sends a block that was borrowed here, if there is room for a message.</summary>
    /// <param name="loan">The block; it is its message's from then on.</param>
    /// <param name="bytes">How much of it is the message, from its beginning.</param>
    /// <returns><see langword="false"/> where the queue is full; the loan stays the caller's.</returns>
    /// <exception cref="ArgumentException">The loan is another queue's.</exception>
    /// <exception cref="InvalidOperationException">The loan was sent or given back.</exception>
    bool TrySend(in Loan loan, int bytes);

    /// <summary>Blocks until there is room for a message.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns><see langword="false"/> where the time ran out. Another sender may still be quicker.</returns>
    bool WaitToSend(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until there is room for a message.</summary>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>Completes when there is room. Another sender may still be quicker.</returns>
    ValueTask WaitToSendAsync(CancellationToken cancellationToken = default);

    /// <summary>Sends a copy of <paramref name="message"/>, waiting for room as long as it takes.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="cancellationToken">Stops the waiting; a message that was sent stays sent.</param>
    /// <returns>Completes when the message is committed.</returns>
    ValueTask SendAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken = default);

    /// <summary>The longest delay of a message: 3,650 days.</summary>
    static TimeSpan MaxDelay => TimeSpan.FromDays(3650);

    /// <summary>Sends a copy of <paramref name="message"/> that no worker gets before <paramref name="delay"/> has passed, if there is room.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="delay">How long it waits, at least, by the machine's monotonic clock; zero for none. At most <see cref="MaxDelay"/>.</param>
    /// <param name="id">Names the message for <see cref="Cancel"/>, as long as it lives.</param>
    /// <returns><see langword="false"/> where the queue is full; nothing was sent.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The message exceeds <see cref="MaxMessageBytes"/>, or the delay its limits; nothing was written.</exception>
    bool TrySend(ReadOnlySpan<byte> message, TimeSpan delay, out WorkId id);

    /// <summary>Sends a copy of <paramref name="message"/> that no worker gets before <paramref name="delay"/> has passed, waiting for room as long as it takes.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="delay">How long it waits, at least, counted from when there is room.</param>
    /// <param name="cancellationToken">Stops the waiting; a message that was sent stays sent.</param>
    /// <returns>Names the message for <see cref="Cancel"/>; completes when the message is committed.</returns>
    ValueTask<WorkId> SendAsync(ReadOnlyMemory<byte> message, TimeSpan delay, CancellationToken cancellationToken = default);

    /// <summary>Takes back a message that no worker has begun: one that is ready, delayed, or was given back.</summary>
    /// <param name="id">Which one, as its sending told.</param>
    /// <returns><see langword="false"/> where a worker holds it, or it was completed, cancelled or given up.</returns>
    /// <remarks>Its room can be used again once the queue has come to its turn; that of a delayed one at once.</remarks>
    bool Cancel(WorkId id);

    /// <summary>Takes the next message, if there is one.</summary>
    /// <param name="lease">The message, held until it is completed, abandoned or put among the dead letters.</param>
    /// <returns><see langword="false"/> where no message is ready.</returns>
    bool TryLease(out WorkLease lease);

    /// <summary>Blocks until a message is ready.</summary>
    /// <param name="timeout">How long to wait; <see cref="Timeout.InfiniteTimeSpan"/> for ever.</param>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns><see langword="false"/> where the time ran out. Another worker may still be quicker.</returns>
    bool WaitToLease(TimeSpan timeout, CancellationToken cancellationToken = default);

    /// <summary>Waits, without holding a thread, until a message is ready.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>Completes when a message is ready. Another worker may still be quicker.</returns>
    ValueTask WaitToLeaseAsync(CancellationToken cancellationToken = default);

    /// <summary>Takes the next message, waiting as long as it takes.</summary>
    /// <param name="cancellationToken">Stops the waiting; no message is lost by it.</param>
    /// <returns>The message, held until it is completed, abandoned or put among the dead letters.</returns>
    ValueTask<WorkLease> LeaseAsync(CancellationToken cancellationToken = default);

    /// <summary>Takes as many of the next messages as there are and <paramref name="leases"/> holds.</summary>
    /// <param name="leases">Where they go, from the beginning.</param>
    /// <returns>How many were taken.</returns>
    int LeaseBatch(Span<WorkLease> leases);

    /// <summary>Completes each of <paramref name="leases"/>.</summary>
    /// <param name="leases">Leases of this queue.</param>
    /// <returns>How many of them were still held.</returns>
    int CompleteBatch(ReadOnlySpan<WorkLease> leases);

    /// <summary>Stores a message that this process will work on itself: it is leased from the start and never ready, unless this process dies.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="lease">The message as a lease.</param>
    /// <returns><see langword="false"/> where the queue is full; nothing was stored.</returns>
    bool TrySendAndLease(ReadOnlySpan<byte> message, out WorkLease lease);

    /// <summary>Whether this handle's process takes work from the queue, so that senders elsewhere may rely on it. Starts as <see langword="false"/>.</summary>
    bool TakesWork { get; set; }

    /// <summary>How many live participants other than this handle take work. Costs one memory read while nobody joins or leaves.</summary>
    int OtherWorkers { get; }

    /// <summary>Counts what the queue holds, without stopping anyone; exact only while nobody moves.</summary>
    /// <returns>The counts.</returns>
    WorkQueueCounts GetCounts();

    /// <summary>Copies out dead letters for inspection.</summary>
    /// <param name="max">The most to return.</param>
    /// <returns>The dead letters, oldest slot first.</returns>
    IReadOnlyList<DeadLetter> GetDeadLetters(int max = 100);

    /// <summary>Makes a dead letter ready again, its attempts forgotten.</summary>
    /// <param name="id">Which one.</param>
    /// <returns><see langword="false"/> where it is no longer among the dead.</returns>
    bool Requeue(DeadLetterId id);

    /// <summary>Removes a dead letter for good.</summary>
    /// <param name="id">Which one.</param>
    /// <returns><see langword="false"/> where it is no longer among the dead.</returns>
    bool Delete(DeadLetterId id);
}

/// <summary>What a queue holds.</summary>
/// <param name="Ready">Messages that wait for a worker.</param>
/// <param name="Leased">Messages that a worker holds.</param>
/// <param name="Dead">Messages given up.</param>
/// <param name="Free">Messages that could still be sent.</param>
/// <param name="OldestReadyAge">How long the oldest ready message has waited; zero where there is none.</param>
public readonly record struct WorkQueueCounts(int Ready, int Leased, int Dead, int Free, TimeSpan OldestReadyAge)
{
    /// <summary>Messages whose time has not come.</summary>
    public int Delayed { get; init; }

    /// <summary>Cancelled messages that the queue has not come to yet, so that their room is still taken.</summary>
    public int Cancelled { get; init; }

    /// <summary>How long the oldest lease has been held; zero where there is none.</summary>
    public TimeSpan OldestLeaseAge { get; init; }

    /// <summary>How many messages were ever made ready, those that were given back counted again: two looks tell a rate. <see langword="null"/> where nobody counts.</summary>
    public long? TotalIn { get; init; }
}

/// <summary>Names one message of one queue from its sending until it is completed.</summary>
/// <param name="Use">Which use of its place it is.</param>
/// <param name="Index">Where it lies.</param>
public readonly record struct WorkId(long Use, int Index);

/// <summary>Names one dead letter of one queue.</summary>
/// <param name="Word">The exact state in which it was seen.</param>
/// <param name="Index">Where it lies.</param>
public readonly record struct DeadLetterId(long Word, int Index);

/// <summary>A message that was given up, copied out.</summary>
/// <param name="Id">Its name, for <see cref="IWorkQueue.Requeue"/> and <see cref="IWorkQueue.Delete"/>.</param>
/// <param name="Payload">The message.</param>
/// <param name="Attempts">How often it was tried.</param>
/// <param name="Reason">Why it was given up, as its last worker said.</param>
public sealed record DeadLetter(DeadLetterId Id, ReadOnlyMemory<byte> Payload, int Attempts, string Reason);
