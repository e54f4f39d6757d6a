namespace Otto.Queue;

// How one kind of task is worked on. Each property is a key of the configuration, under Tasks and the task's name.

/// <summary>Options for the tasks of one name: their queue, retries, time limit and concurrency.</summary>
/// <remarks>The queue checks them when it is created. Configuration can set each of them but
/// <see cref="Serializer"/>, under <c>Tasks:&lt;name&gt;</c>.</remarks>
public sealed class HandlerOptions
{
    /// <summary>The default of <see cref="Retries"/>.</summary>
    public const int DefaultRetries = 3;

    /// <summary>Gets or sets the queue that holds these tasks; <see langword="null"/>, the default, for a queue with
    /// the task's own name.</summary>
    /// <remarks>Tasks of several names can share a queue and its workers. It names a segment, so it must be a valid
    /// channel name.</remarks>
    public string? Queue { get; set; }

    /// <summary>Gets or sets how often a failed task is tried again before it is given up, 0 to 1,000. The default is
    /// 3.</summary>
    /// <remarks>An attempt that ended with its process's death counts as failed.</remarks>
    public int Retries { get; set; } = DefaultRetries;

    /// <summary>Gets or sets the delay before the first retry. The default is 200 ms.</summary>
    public TimeSpan FirstDelay { get; set; } = TimeSpan.FromMilliseconds(200);

    /// <summary>Gets or sets the longest delay before a retry, at most a day. The default is 30 s.</summary>
    public TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Gets or sets the factor by which each delay is longer than the one before, 1 to 100. The default is
    /// 2.</summary>
    public double Factor { get; set; } = 2;

    /// <summary>Gets or sets the random part of each delay, 0 to 1. The default is 0.5.</summary>
    /// <remarks>Because of it, tasks that failed together are not all tried again at the same time.</remarks>
    public double Jitter { get; set; } = 0.5;

    /// <summary>Gets or sets how long one attempt may take, 1 ms to 24 days; <see langword="null"/>, the default, for
    /// no limit.</summary>
    /// <remarks>The handler's cancellation token then fires, and the attempt has failed once the handler has ended. A
    /// handler that ignores its token keeps its place until it returns: .NET cannot stop it.</remarks>
    public TimeSpan? Timeout { get; set; }

    /// <summary>Gets or sets how many tasks of the queue run at the same time in this process, 1 to 10,000;
    /// <see langword="null"/>, the default, for the number of processors.</summary>
    /// <remarks>1 keeps the order of the tasks. Names in one queue share its workers, so they must agree.</remarks>
    public int? Concurrency { get; set; }

    /// <summary>Gets or sets whether each task gets a dependency-injection scope of its own. The default is
    /// <see langword="true"/>.</summary>
    /// <remarks>Without scopes, one handler instance serves every task, at no cost per task.</remarks>
    public bool Scope { get; set; } = true;

    /// <summary>Gets or sets the serializer of these tasks; <see langword="null"/>, the default, for the
    /// queue's.</summary>
    public ITaskSerializer? Serializer { get; set; }
}
