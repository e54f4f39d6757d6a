namespace Otto.Queue;

// Refusal for want of room. It carries the numbers, since "full" alone does not tell what to raise.

/// <summary>A task was refused because no route that could take it had room. The task was not enqueued.</summary>
public sealed class QueueFullException : InvalidOperationException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which queue is full, with its numbers and the way out.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public QueueFullException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
