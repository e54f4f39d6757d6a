namespace Otto.Queue;

// What a handler may want to know about its task. One instance a worker, used again for each task, so that running a task allocates
// nothing.

/// <summary>What is known about the attempt that a handler is making.</summary>
/// <remarks>
/// Valid until the handler's task ends; then it describes the worker's next task. Copy out what is to be kept.
/// Not safe for use by several threads at once.
/// </remarks>
public sealed class TaskContext
{
    internal long EnqueuedMicroseconds;

    private static readonly long LongestMicroseconds =
        (DateTimeOffset.MaxValue - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    private readonly Action<TaskProgress> _report;
    private object? _result;

    internal TaskContext(ITaskQueue tasks, Action<TaskProgress> report)
    {
        TaskQueue = tasks;
        _report = report;
    }

    /// <summary>The task's id, as on its receipt.</summary>
    public TaskId Id { get; internal set; }

    /// <summary>The task's name, such as <c>photos.resize</c>.</summary>
    public string Name { get; internal set; } = "";

    /// <summary>The queue that the task came from: its name, unless it was declared with another.</summary>
    public string Queue { get; internal set; } = "";

    /// <summary>The route that the task came by.</summary>
    public RouteName Route { get; internal set; }

    /// <summary>Which attempt this is, from 1. Attempts that ended with their process's death count.</summary>
    public int Attempt { get; internal set; }

    /// <summary>The last attempt that will be made: failing it puts the task among the dead letters.</summary>
    public int MaxAttempts { get; internal set; }

    /// <summary>When the task was enqueued, by the producer's clock; within a process exact to some milliseconds,
    /// unless wait durations are measured.</summary>
    public DateTimeOffset EnqueuedAt
        // Another process's microseconds: nonsense is clamped, not thrown at a handler.
        => DateTimeOffset.UnixEpoch.AddTicks(Math.Clamp(EnqueuedMicroseconds, 0, LongestMicroseconds) * TimeSpan.TicksPerMicrosecond);

    /// <summary>The queue, to enqueue follow-up tasks.</summary>
    public ITaskQueue TaskQueue { get; }

    /// <summary>This task's services: its own scope where scopes are on. <see langword="null"/> if the program has
    /// none.</summary>
    public IServiceProvider? Services { get; internal set; }

    /// <summary>Reports how far the task is, for <c>otto top</c> and <see cref="ITaskQueue.ProgressAsync"/>. Cheap
    /// enough
    /// for a loop: what comes within 100 ms of the last report stays in this process.</summary>
    /// <param name="done">How much is done, in any unit.</param>
    /// <param name="total">Of how much; 0 if that is not known.</param>
    /// <param name="text">What is being done; cut at 200 characters where it leaves the process.</param>
    public void ReportProgress(double done, double total = 0, string text = "")
    {
        ArgumentNullException.ThrowIfNull(text);
        _report(new TaskProgress(Id, done, total, text));
    }

    internal void SetResult(object? result) => _result = result;

    internal object? TakeResult()
    {
        object? result = _result;
        _result = null;
        return result;
    }

    /// <summary>Set once the task was read from its bytes, so that a failure is known to be the handler's.</summary>
    internal bool Decoded { get; set; }
}
