namespace Otto.Queue;

// What an enqueue did. A refusal is an exception, never an outcome that could be overlooked.

/// <summary>What became of an enqueue.</summary>
public enum EnqueueOutcome
{
    /// <summary>The task was accepted.</summary>
    Accepted,

    /// <summary>A task of the same key is pending or running, so this one was not added.</summary>
    Duplicate,
}
