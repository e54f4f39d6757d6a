namespace Otto.Queue;

// A task that cannot leave its process, told apart from a handler's own failure: trying again would not help.

/// <summary>A task could not be turned into bytes, or back, or does not fit its route.</summary>
public sealed class TaskSerializationException : Exception
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which task, and what is wrong with it.</param>
    /// <param name="innerException">What the serializer threw, if it did.</param>
    public TaskSerializationException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
