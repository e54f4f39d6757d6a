namespace Otto.Queue;

// Optional: without it a task on the route cannot be cancelled.

/// <summary>A <see cref="TaskChannel"/> from which tasks can be taken back.</summary>
public interface ICancelableChannel
{
    /// <summary>Takes a task back that no worker has begun, or finds out that one has.</summary>
    /// <param name="id">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see cref="CancelOutcome.Requested"/> where a worker holds it; its process must learn of it by an
    /// event.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken);
}
