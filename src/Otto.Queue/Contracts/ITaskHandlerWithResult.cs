namespace Otto.Queue;

// A handler whose producer may wait for what it found out.

/// <summary>Does the work of one kind of task and returns a result. Register it with
/// <see cref="TaskQueueOptions.AddHandler{TTask, TResult, THandler}"/>.</summary>
/// <typeparam name="TTask">The task's type.</typeparam>
/// <typeparam name="TResult">The result's type; serialized where the producer is another process.</typeparam>
public interface ITaskHandler<in TTask, TResult>
{
    /// <summary>Does one task. Throwing means this attempt failed and the task is tried again, then given up.</summary>
    /// <param name="task">The task.</param>
    /// <param name="context">What is known about this attempt; valid only until the returned task ends.</param>
    /// <param name="cancellationToken">Fires when the task was cancelled, its timeout has passed, or a graceful stop
    /// has run out of time.</param>
    /// <returns>The result, for a caller that waits with
    /// <see cref="ITaskQueue.WaitAsync{TResult}(TaskReceipt, CancellationToken)"/>.</returns>
    ValueTask<TResult> HandleAsync(TTask task, TaskContext context, CancellationToken cancellationToken);
}
