namespace Otto.Queue;

// The three answers to "full". None of them drops a task silently, and none grows without bound.

/// <summary>What a producer meets where a route is full.</summary>
public enum QueueFullMode
{
    /// <summary>The task takes the next route that has room for it. If there is none, the producer waits for
    /// room.</summary>
    Overflow,

    /// <summary>The producer waits for room. Inside a handler, where waiting could lock the queue up against itself,
    /// the task takes the next route instead.</summary>
    Wait,

    /// <summary>The producer gets a <see cref="QueueFullException"/>.</summary>
    Reject,
}
