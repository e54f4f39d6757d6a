namespace Otto.Queue;

// The end of a wait that could not end otherwise.

/// <summary>No route has a task that is waited for, or a result of it: the result was collected before, was not asked
/// for, or was dropped because its time was over.</summary>
/// <param name="message">Which task, and what may have become of it.</param>
public sealed class ResultNotFoundException(string message) : InvalidOperationException(message);
