namespace Otto.Queue;

// What a waiting producer gets where there is no result.

/// <summary>A task whose result was awaited ended without one.</summary>
public sealed class TaskFailedException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Why there is no result.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public TaskFailedException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
