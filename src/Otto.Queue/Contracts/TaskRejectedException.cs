namespace Otto.Queue;

// What a handler knows about a task that no further attempt changes.

/// <summary>Thrown by a handler for a task that can never succeed: it is not tried again, whatever its limit of
/// attempts is, and goes to the dead letters with this message.</summary>
/// <param name="message">Why, for the person who reads the dead letters.</param>
/// <param name="innerException">The cause, if there is one.</param>
public sealed class TaskRejectedException(string message, Exception? innerException = null) : Exception(message, innerException);
