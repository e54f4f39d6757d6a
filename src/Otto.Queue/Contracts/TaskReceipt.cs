namespace Otto.Queue;

// The answer to an enqueue: it says where the task went, so that nobody has to guess why something was slow.

/// <summary>Where a task went, and why.</summary>
/// <param name="Id">The task's id, the same on every route and through every retry; of a duplicate, the id of the task
/// that has the key.</param>
/// <param name="Route">Which way it took.</param>
/// <param name="Reason">Why that way, in words fit for a log; one of a small fixed set.</param>
/// <param name="Outcome">Whether this call added the task.</param>
public readonly record struct TaskReceipt(TaskId Id, RouteName Route, string Reason, EnqueueOutcome Outcome = EnqueueOutcome.Accepted)
{
    /// <summary>The queue that the task is in; empty if that is not known.</summary>
    public string Queue { get; init; } = "";
}
