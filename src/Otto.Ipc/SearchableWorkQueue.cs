namespace Otto.Ipc;

// What a queue can offer if all its messages are in reach: to find one by its content, and to send under a lock that all processes share.

/// <summary>Tests whether a message is the one that is searched for.</summary>
/// <param name="message">The message, or its first <see cref="SearchableWorkQueue.SearchedBytes"/> bytes.</param>
/// <returns><see langword="true"/> if it is.</returns>
public delegate bool WorkMatch(ReadOnlySpan<byte> message);

/// <summary>A work queue whose messages can be searched while they wait or are worked on.</summary>
public abstract class SearchableWorkQueue : WorkQueue
{
    /// <summary>How much of a message's beginning a search sees.</summary>
    public const int SearchedBytes = 1024;

    /// <summary>
    /// Searches for a message that waits, is delayed, or is held by a worker. Reads every slot: some microseconds for
    /// a thousand.
    /// </summary>
    /// <param name="match">
    /// The condition; called with copies, so it may take its time, and perhaps for a message that has ended
    /// meanwhile.
    /// </param>
    /// <param name="id">The message's name, for <see cref="WorkQueue.Cancel"/>.</param>
    /// <param name="held">Whether a worker holds it.</param>
    /// <returns><see langword="true"/> if a message was found; otherwise, <see langword="false"/>.</returns>
    public abstract bool TryFind(WorkMatch match, out WorkId id, out bool held);

    /// <summary>
    /// Notes that a message which a worker holds is to be cancelled: <see cref="WorkLease.IsCancelRequested"/> is then
    /// <see langword="true"/> for this holder and any later one, and <see cref="WorkLease.Repeat"/> ends the message.
    /// </summary>
    /// <param name="id">The message, as <see cref="TryFind"/> named it.</param>
    /// <returns>
    /// <see langword="true"/> if it was noted; <see langword="false"/> if the message has ended, or the queue cannot
    /// keep such a note.
    /// </returns>
    /// <remarks>
    /// Afterwards call <see cref="WorkQueue.Cancel"/>: the holder may have returned the message meanwhile.
    /// </remarks>
    public virtual bool RequestCancel(WorkId id) => false;

    /// <summary>Whether a message that has not ended is to be cancelled.</summary>
    /// <param name="id">The message, as <see cref="TryFind"/> named it.</param>
    /// <returns>Whether <see cref="RequestCancel"/> was called for it.</returns>
    public virtual bool IsCancelRequested(WorkId id) => false;

    /// <summary>Searches among the dead letters, as <see cref="TryFind"/> does among the living messages.</summary>
    /// <param name="match">The condition.</param>
    /// <param name="attempts">How many attempts were made at it.</param>
    /// <param name="reason">Why it was given up.</param>
    /// <returns><see langword="true"/> if a dead letter was found; otherwise, <see langword="false"/>.</returns>
    public abstract bool TryFindDead(WorkMatch match, out int attempts, out string reason);

    /// <summary>
    /// Enters a lock that all processes with this queue share, so that "there is none" stays true until one is sent.
    /// </summary>
    /// <param name="timeout">How long to wait for another holder.</param>
    /// <param name="exclusive">
    /// Leaves the lock when disposed; so does the death of the holder. Not to be held across an await.
    /// </param>
    /// <returns>
    /// <see langword="true"/> if the lock was entered; <see langword="false"/> if another held it all the while.
    /// </returns>
    public abstract bool TryEnterExclusive(TimeSpan timeout, out IDisposable? exclusive);
}
