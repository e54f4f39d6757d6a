namespace Otto.Queue.Testing;

// What a test asks about afterwards: what ran, and what has not run yet.

/// <summary>One attempt that was made.</summary>
/// <param name="Id">The task, as on its receipt.</param>
/// <param name="Queue">Its queue.</param>
/// <param name="Name">Its name.</param>
/// <param name="Number">Which attempt, from 1.</param>
/// <param name="Task">The task as its handler got it.</param>
/// <param name="At">When it began, by the test's clock.</param>
/// <param name="Error">Why it failed; <see langword="null"/> if it did not.</param>
public sealed record TaskAttempt(TaskId Id, string Queue, string Name, int Number, object Task, DateTimeOffset At, Exception? Error);

/// <summary>A task that has not ended.</summary>
/// <param name="Id">The task, as on its receipt.</param>
/// <param name="Queue">Its queue.</param>
/// <param name="Name">Its name.</param>
/// <param name="AttemptsMade">How many attempts failed so far.</param>
/// <param name="DueIn">How long until it may run, by the test's clock; zero if it may run now.</param>
/// <param name="Handled">Whether the program has a handler for it; else it waits for another program.</param>
public sealed record PendingTask(TaskId Id, string Queue, string Name, int AttemptsMade, TimeSpan DueIn, bool Handled);
