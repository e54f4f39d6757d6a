namespace Otto.Queue;

// What a channel may ask of, and tell, those it takes tasks for.

/// <summary>The workers behind a <see cref="TaskChannel"/>.</summary>
/// <remarks>Called by any thread; must not block.</remarks>
public interface ITaskConsumer
{
    /// <summary>How many tasks could be started now, or within a moment at the pace at which they end: no more are
    /// claimed at a time, and one where a worker asks.</summary>
    int AvailableWorkers { get; }

    /// <summary>Reports that a lease passed to another worker while it was held here. Its handler's token fires,
    /// because the other worker may be running the task.</summary>
    /// <param name="id">The task.</param>
    void OnLeaseLost(TaskId id);
}
