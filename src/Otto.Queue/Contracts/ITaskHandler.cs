namespace Otto.Queue;

// What a user writes to do work of one kind.

/// <summary>Does the work of one kind of task. Register it with
/// <see cref="TaskQueueOptions.AddHandler{TTask, THandler}(string?, Action{HandlerOptions}?)"/>.</summary>
/// <typeparam name="TTask">The task's type; on the in-process route the very object that the producer holds
/// arrives.</typeparam>
public interface ITaskHandler<in TTask>
{
    /// <summary>Does one task. Returning means done; throwing means this attempt failed and the task is tried again,
    /// then given up.</summary>
    /// <param name="task">The task. Shared with the producer on the in-process route: treat it as read-only on both
    /// sides.</param>
    /// <param name="context">What is known about this attempt; valid only until the returned task ends.</param>
    /// <param name="cancellationToken">Fires when the task's timeout has passed or a graceful stop has run out of
    /// time.</param>
    /// <returns>Ends when the work is done.</returns>
    ValueTask HandleAsync(TTask task, TaskContext context, CancellationToken cancellationToken);
}
