namespace Otto.Queue;

// Code around every handler: for logging, authorisation, transactions, and whatever else is the same for many tasks.

/// <summary>Runs what is left of a task's way: further filters, then the handler.</summary>
/// <param name="cancellationToken">The token that they get.</param>
/// <returns>Ends when they have.</returns>
public delegate ValueTask TaskContinuation(CancellationToken cancellationToken);

/// <summary>Runs around each handler's call, in the order in which filters were added. Add it with
/// <see cref="TaskQueueOptions.AddFilter"/>.</summary>
public interface ITaskFilter
{
    /// <summary>Runs around one attempt. Not calling <paramref name="continuation"/> ends the task as done; throwing
    /// fails the attempt.</summary>
    /// <param name="task">The task as its handler gets it.</param>
    /// <param name="context">What is known about this attempt.</param>
    /// <param name="continuation">Runs the filters that follow, and then the handler.</param>
    /// <param name="cancellationToken">The attempt's token.</param>
    /// <returns>Ends when the attempt has.</returns>
    ValueTask InvokeAsync(object task, TaskContext context, TaskContinuation continuation, CancellationToken cancellationToken);
}
