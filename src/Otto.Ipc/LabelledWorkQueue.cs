namespace Otto.Ipc;

// What a queue can offer if it has an index of its messages: each is found at once, however many there are.

/// <summary>Tests whether a message has a key.</summary>
/// <param name="message">The message, or its first <see cref="SearchableWorkQueue.SearchedBytes"/> bytes.</param>
/// <param name="isCancelRequested">Whether the message is to be cancelled
/// (<see cref="SearchableWorkQueue.RequestCancel"/>).</param>
/// <returns><see langword="true"/> if it has.</returns>
public delegate bool KeyMatch(ReadOnlySpan<byte> message, bool isCancelRequested);

/// <summary>A work queue that finds its messages by ids and keys, keeps their results, and lets workers pass over
/// messages for others.</summary>
/// <remarks>Each call costs the same with ten messages and with a million. No call waits for another process, even
/// one that is stopped in the middle of its own.</remarks>
public abstract class LabelledWorkQueue : SearchableWorkQueue
{
    /// <summary>Sends a copy of <paramref name="message"/>, if there is room and no other
    /// message has its key.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="labels">What the queue is to know it by.</param>
    /// <param name="delay">The shortest wait until a worker gets it: zero to <see cref="WorkQueue.MaxDelay"/>.</param>
    /// <param name="hasKey">Whether another message, or the first <see cref="SearchableWorkQueue.SearchedBytes"/> bytes
    /// of it, has this message's key: asked where the hashes are equal. <see langword="null"/> if the hash is the
    /// key.</param>
    /// <returns>What became of it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The message or the delay exceeds its limit.</exception>
    public abstract LabelledSendResult TrySend(ReadOnlySpan<byte> message, in MessageLabels labels, TimeSpan delay, KeyMatch? hasKey);

    /// <summary>Stores a message that this process will work on itself, as
    /// <see cref="WorkQueue.TrySendAndLease"/> does, if no other message has its key.</summary>
    /// <param name="message">The bytes; may be empty.</param>
    /// <param name="labels">What the queue is to know it by.</param>
    /// <param name="hasKey">As for
    /// <see cref="TrySend(ReadOnlySpan{byte}, in MessageLabels, TimeSpan, KeyMatch?)"/>.</param>
    /// <param name="lease">The message as a lease.</param>
    /// <returns>What became of it.</returns>
    /// <exception cref="ArgumentOutOfRangeException">The message exceeds its limit.</exception>
    public abstract LabelledSendResult TrySendAndLease(ReadOnlySpan<byte> message, in MessageLabels labels, KeyMatch? hasKey,
        out WorkLease lease);

    /// <summary>Finds a message.</summary>
    /// <param name="id">Its label.</param>
    /// <param name="work">Its name, for <see cref="WorkQueue.Cancel"/>.</param>
    /// <returns>Where it is.</returns>
    public abstract MessageState Find(UInt128 id, out WorkId work);

    /// <summary>How many results, and cancellations, wait to be collected: what
    /// <see cref="WorkQueueCounts.Results"/> says, without counting anything else.</summary>
    public abstract int KeptResults { get; }

    /// <summary>Finds a message of a key that waits, is delayed, or is held.</summary>
    /// <param name="key">The hash of the key.</param>
    /// <param name="hasKey">Which of the messages of this hash is meant; the first that it accepts is found.</param>
    /// <param name="id">Its name.</param>
    /// <param name="held">Whether a worker holds it.</param>
    /// <returns><see langword="true"/> if one was found; otherwise, <see langword="false"/>.</returns>
    public abstract bool TryFindKey(ulong key, KeyMatch hasKey, out WorkId id, out bool held);

    /// <summary>Takes the result of a message out of the queue, if it is there. Of several
    /// callers one gets it.</summary>
    /// <param name="id">The message's label.</param>
    /// <param name="result">With <see cref="MessageState.Done"/> the result, as it was given to
    /// <see cref="WorkLease.Complete(ReadOnlySpan{byte})"/>; with <see cref="MessageState.Dead"/> the reason, UTF-8,
    /// and the dead letter stays; otherwise, empty.</param>
    /// <returns><see cref="MessageState.Done"/> or <see cref="MessageState.Cancelled"/> if this call took it;
    /// otherwise, where the message is.</returns>
    public abstract MessageState TryTakeResult(UInt128 id, out byte[] result);

    /// <summary>Takes back what <see cref="SearchableWorkQueue.RequestCancel"/> noted.</summary>
    /// <param name="id">The message.</param>
    public abstract void WithdrawCancelRequest(WorkId id);

    /// <summary>Sets which messages this handle takes that were passed over by
    /// <see cref="WorkLease.PassOver"/>.</summary>
    /// <param name="subjects">Their subjects. A new handle has none.</param>
    public abstract void SetSubjects(IReadOnlyCollection<ulong> subjects);

    /// <summary>Shows the messages that were passed over and that no worker has taken since.</summary>
    /// <param name="visit">Called with the start of each, at least the first
    /// <see cref="SearchableWorkQueue.SearchedBytes"/> bytes of it; <see langword="true"/> ends the visit.</param>
    /// <remarks>Reads each slot: intended for people, not for programs that do it often.</remarks>
    public virtual void VisitPassedOver(WorkMatch visit)
    {
    }
}
