namespace Otto.Queue;

// What an enqueue did. A refusal is an exception, never an outcome that could be overlooked.

/// <summary>What became of an enqueue.</summary>
public enum EnqueueOutcome
{
    /// <summary>The task was accepted.</summary>
    Accepted,

    /// <summary>A task of the same key is pending or running, so this one was not added.</summary>
    Duplicate,

    /// <summary>The task was accepted, and takes the place of a recurring task of the same key with another interval,
    /// payload or name. An occurrence of that one which is running ends, and is the last.</summary>
    Replaced,
}
