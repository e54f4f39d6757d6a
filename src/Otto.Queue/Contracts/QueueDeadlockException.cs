namespace Otto.Queue;

// Refusal of a wait that would never end. It names what holds what up, since the program that waits shows only a wait.

/// <summary>A handler waited for a task that no worker can begin: every place of the task's queue has a handler that
/// waits like this one. The task stays in its queue.</summary>
public sealed class QueueDeadlockException : InvalidOperationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which queue has no place, with its concurrency and the way out.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public QueueDeadlockException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
