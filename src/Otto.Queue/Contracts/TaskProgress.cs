namespace Otto.Queue;

// How far a task says it is.

/// <summary>What a handler reported.</summary>
/// <param name="Id">The task.</param>
/// <param name="Done">How much is done, in units of the handler's choice.</param>
/// <param name="Total">Of how much; 0 if that is not known.</param>
/// <param name="Text">What is being done, in the handler's words; cut at 200 characters.</param>
public readonly record struct TaskProgress(TaskId Id, double Done, double Total, string Text);
