namespace Otto.Queue;

// Refusal because of a stop, apart from "full": a caller may retry a full queue, never a stopped one.

/// <summary>A task was refused because the queue is stopping or has stopped. The task was not enqueued.</summary>
public sealed class QueueStoppedException : InvalidOperationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which queue stopped.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public QueueStoppedException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
