namespace Otto.Queue;

// What a cancel did: only what nobody has begun can be taken back.

/// <summary>What became of a cancel.</summary>
public enum CancelOutcome
{
    /// <summary>No such task is pending or running: it has ended, or was never there.</summary>
    NotFound,

    /// <summary>No worker had begun the task, and no worker will.</summary>
    Removed,

    /// <summary>The task is running: its handler's token fires, here or wherever it runs. Whether the handler gives way
    /// is its own affair; one that does is not tried again.</summary>
    Requested,
}
