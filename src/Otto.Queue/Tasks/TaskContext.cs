namespace Otto.Queue;

// What a handler may want to know about its task. One instance a worker, used again for each task, so that running a task allocates nothing.

/// <summary>What is known about the attempt that a handler is making.</summary>
/// <remarks>
/// Valid until the handler's task ends; then it describes the worker's next task. Copy out what is to be kept.
/// Not safe for use by several threads at once.
/// </remarks>
public sealed class TaskContext
{
    internal long EnqueuedMicroseconds;

    internal TaskContext(ITaskQueue tasks) => Tasks = tasks;

    /// <summary>The task's id, as on its receipt.</summary>
    public TaskId Id { get; internal set; }

    /// <summary>The task's name, such as <c>photos.resize</c>.</summary>
    public string Name { get; internal set; } = "";

    /// <summary>The queue that the task came from: its name, unless it was declared with another.</summary>
    public string Queue { get; internal set; } = "";

    /// <summary>The route that the task came by.</summary>
    public Route Route { get; internal set; }

    /// <summary>Which attempt this is, from 1. Attempts that ended with their process's death count.</summary>
    public int Attempt { get; internal set; }

    /// <summary>The last attempt that will be made: failing it puts the task among the dead letters.</summary>
    public int MaxAttempts { get; internal set; }

    /// <summary>When the task was enqueued, by the producer's clock; within a process exact to some milliseconds, unless somebody listens to wait durations.</summary>
    public DateTimeOffset EnqueuedAt => QueueClock.ToDateTime(EnqueuedMicroseconds);

    /// <summary>The queue, to enqueue follow-up tasks.</summary>
    public ITaskQueue Tasks { get; }

    /// <summary>This task's services: its own scope where scopes are on. <see langword="null"/> where the program has none.</summary>
    public IServiceProvider? Services { get; internal set; }

    /// <summary>Set once the task was read from its bytes, so that a failure is known to be the handler's.</summary>
    internal bool Decoded { get; set; }
}
