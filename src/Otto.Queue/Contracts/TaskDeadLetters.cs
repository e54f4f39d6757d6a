namespace Otto.Queue;

// The lists of given-up tasks, seen as one, whichever route they are on.

/// <summary>The tasks that were given up, on every route: inspect them, try them again, or delete them.</summary>
/// <remarks>Safe for use by any number of threads, and by several processes at once: each letter is requeued or deleted
/// once.</remarks>
public abstract class TaskDeadLetters
{
    private protected TaskDeadLetters()
    {
    }

    /// <summary>Copies out dead letters.</summary>
    /// <param name="queue">Whose; <see langword="null"/> for those of every queue.</param>
    /// <param name="max">The most from each list.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The letters.</returns>
    /// <exception cref="InvalidOperationException">There is no such queue; the message lists those there
    /// are.</exception>
    public abstract ValueTask<IReadOnlyList<DeadLetteredTask>> ListAsync(string? queue = null, int max = 100,
        CancellationToken cancellationToken = default);

    /// <summary>Makes a task ready again, its attempts forgotten.</summary>
    /// <param name="task">Which one, as listed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> if it is no longer among the dead letters.</returns>
    public abstract ValueTask<bool> RequeueAsync(DeadLetteredTask task, CancellationToken cancellationToken = default);

    /// <summary>Removes a task permanently.</summary>
    /// <param name="task">Which one, as listed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> if it is no longer among the dead letters.</returns>
    public abstract ValueTask<bool> DeleteAsync(DeadLetteredTask task, CancellationToken cancellationToken = default);
}
