namespace Otto.Queue;

// What a channel may ask of, and tell, those it takes tasks for.

/// <summary>The workers behind a <see cref="TaskChannel"/>.</summary>
/// <remarks>Called by any thread; must not block.</remarks>
public interface ITaskConsumer
{
    /// <summary>How many tasks could be started now, or within a moment at the pace at which they end: no more are claimed at a time, and one where a worker asks.</summary>
    int AvailableWorkers { get; }

    /// <summary>Tells that a lease passed to somebody else while it was held here: its handler's token fires, since another may be running the task.</summary>
    /// <param name="id">The task.</param>
    void OnLeaseLost(TaskId id);
}
