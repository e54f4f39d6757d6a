namespace Otto.Ipc;

// What a queue can offer beyond taking turns, where all its messages are in reach: finding one by what it says, and being the only one who looks and sends.

/// <summary>Says whether a message is the one that is looked for.</summary>
/// <param name="message">The message, or as much of its beginning as <see cref="ISearchableWorkQueue.SearchedBytes"/>.</param>
/// <returns>Whether it is.</returns>
public delegate bool WorkMatch(ReadOnlySpan<byte> message);

/// <summary>A work queue whose messages can be looked at while they wait or are worked on.</summary>
public interface ISearchableWorkQueue : IWorkQueue
{
    /// <summary>How much of a message's beginning a search sees.</summary>
    const int SearchedBytes = 1024;

    /// <summary>Looks for a message that waits, is delayed, or is held by a worker. Costs a look at every place: some microseconds for a thousand.</summary>
    /// <param name="match">Says which; called for copies, so it may take its time, and perhaps for a message that has ended meanwhile.</param>
    /// <param name="id">The message's name, for <see cref="IWorkQueue.Cancel"/>.</param>
    /// <param name="held">Whether a worker holds it.</param>
    /// <returns><see langword="false"/> where there is none.</returns>
    bool TryFind(WorkMatch match, out WorkId id, out bool held);

    /// <summary>Looks for a message among the dead letters, as <see cref="TryFind"/> does among the living.</summary>
    /// <param name="match">Says which.</param>
    /// <param name="attempts">How many attempts were made at it.</param>
    /// <param name="reason">Why it was given up.</param>
    /// <returns><see langword="false"/> where there is none.</returns>
    bool TryFindDead(WorkMatch match, out int attempts, out string reason);

    /// <summary>Keeps everybody else who asks for this out, in every process, so that "there is none" stays true until one is sent.</summary>
    /// <param name="patience">How long to wait for another to be done.</param>
    /// <param name="turn">Ends it when disposed; the holder's death ends it too. Not to be held across an await.</param>
    /// <returns><see langword="false"/> where another held it all the while.</returns>
    bool TryTakeTurn(TimeSpan patience, out IDisposable? turn);
}
