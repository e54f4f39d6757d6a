namespace Otto.Queue;

// What a waiting producer gets where there is no result.

/// <summary>A task whose result was awaited ended without one.</summary>
public sealed class TaskFailedException : Exception
{
    /// <summary>Makes the exception without words.</summary>
    public TaskFailedException()
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Why there is no result.</param>
    public TaskFailedException(string message) : base(message)
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Why there is no result.</param>
    /// <param name="innerException">What caused it.</param>
    public TaskFailedException(string message, Exception innerException) : base(message, innerException)
    {
    }

    /// <summary>Whether the task was cancelled, rather than given up.</summary>
    public bool Cancelled { get; init; }
}
