namespace Otto.Queue;

// How one kind of task is worked on. Fluent, since it is written inline where the handler is named.

/// <summary>How tasks of one name are queued and worked on.</summary>
public sealed class HandlerOptions
{
    /// <summary>How often a task is tried again unless said otherwise.</summary>
    public const int DefaultRetries = 3;

    internal string? QueueName { get; set; }
    internal int Retries { get; set; } = DefaultRetries;
    internal TimeSpan FirstDelay { get; set; } = TimeSpan.FromMilliseconds(200);
    internal TimeSpan MaxDelay { get; set; } = TimeSpan.FromSeconds(30);
    internal double BackoffFactor { get; set; } = 2;
    internal double JitterPart { get; set; } = 0.5;
    internal TimeSpan? TimeoutAfter { get; set; }
    internal int? ConcurrencyLimit { get; set; }
    internal bool ScopeEach { get; set; } = true;
    internal ITaskSerializer? OwnSerializer { get; set; }

    /// <summary>Puts this task into the queue of that name, together with others; without it a task's name is its
    /// queue.</summary>
    /// <param name="name">The queue. It names a segment, so it must be a valid channel name.</param>
    /// <returns>These options.</returns>
    public HandlerOptions Queue(string name)
    {
        QueueName = name;
        return this;
    }

    /// <summary>How often a failed task is tried again before it is given up; attempts that ended with their process's
    /// death count as failed.</summary>
    /// <param name="retries">How often after the first attempt, 0 to 1,000. 3 by default.</param>
    /// <returns>These options.</returns>
    public HandlerOptions Retry(int retries)
    {
        Retries = retries;
        return this;
    }

    /// <summary>How long to wait before a failed task is tried again.</summary>
    /// <param name="first">Before the first retry; 200 ms by default.</param>
    /// <param name="max">Never longer than this; 30 s by default.</param>
    /// <param name="factor">How much longer each time, 1 or more.</param>
    /// <param name="jitter">Which part of each delay is random, 0 to 1, so that tasks that failed together do not
    /// return together.</param>
    /// <returns>These options.</returns>
    public HandlerOptions Backoff(TimeSpan first, TimeSpan max, double factor = 2, double jitter = 0.5)
    {
        FirstDelay = first;
        MaxDelay = max;
        BackoffFactor = factor;
        JitterPart = jitter;
        return this;
    }

    /// <summary>How long one attempt may take; then its cancellation token fires, and the attempt counts as failed once
    /// the handler gives way.</summary>
    /// <param name="timeout">How long, 1 ms or more. Without it an attempt may take as long as it likes.</param>
    /// <returns>These options.</returns>
    /// <remarks>A handler that ignores its token keeps its place until it returns: .NET cannot stop it.</remarks>
    public HandlerOptions Timeout(TimeSpan timeout)
    {
        TimeoutAfter = timeout;
        return this;
    }

    /// <summary>How many tasks of the queue run at the same time in this process; 1 gives order. The number of
    /// processors by default.</summary>
    /// <param name="tasks">How many, 1 to 10,000. Names in one queue share its workers, so they must agree.</param>
    /// <returns>These options.</returns>
    public HandlerOptions Concurrency(int tasks)
    {
        ConcurrencyLimit = tasks;
        return this;
    }

    /// <summary>Whether each task gets a dependency-injection scope of its own. On by default; off, one handler
    /// instance serves every task, at no cost a task.</summary>
    /// <param name="each">Whether each task gets one.</param>
    /// <returns>These options.</returns>
    public HandlerOptions Scope(bool each)
    {
        ScopeEach = each;
        return this;
    }

    /// <summary>Serialises this task in another way than the queue's other tasks.</summary>
    /// <param name="serializer">The serialiser.</param>
    /// <returns>These options.</returns>
    public HandlerOptions Serializer(ITaskSerializer serializer)
    {
        OwnSerializer = serializer;
        return this;
    }
}
