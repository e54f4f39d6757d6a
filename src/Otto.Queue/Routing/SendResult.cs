namespace Otto.Queue;

// What a channel did with an envelope. Full and out of reach are states that a router reacts to, so they are no exceptions.

/// <summary>What became of an envelope.</summary>
public enum SendOutcome
{
    /// <summary>It is in the queue.</summary>
    Sent,

    /// <summary>The queue has no room. Nothing was sent.</summary>
    Full,

    /// <summary>The route cannot be used now. Nothing was sent.</summary>
    Unavailable,

    /// <summary>Another task of the same key is pending or running. Nothing was sent.</summary>
    Duplicate,
}

/// <summary>What a channel answered.</summary>
/// <param name="Outcome">What became of the envelope.</param>
/// <param name="Existing">With <see cref="SendOutcome.Duplicate"/>: the task that has the key.</param>
public readonly record struct SendResult(SendOutcome Outcome, TaskId Existing = default)
{
    /// <summary>An answer without more words.</summary>
    /// <param name="outcome">What became of the envelope.</param>
    public static implicit operator SendResult(SendOutcome outcome) => new(outcome);

    /// <summary>An answer without more words.</summary>
    /// <param name="outcome">What became of the envelope.</param>
    /// <returns>The answer.</returns>
    public static SendResult FromSendOutcome(SendOutcome outcome) => new(outcome);
}
