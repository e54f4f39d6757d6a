namespace Otto.Ipc;

// What a queue knows a message by without reading it.

/// <summary>What a <see cref="LabelledWorkQueue"/> knows a message by.</summary>
public readonly record struct MessageLabels
{
    /// <summary>Names the message for <see cref="LabelledWorkQueue.Find"/> and
    /// <see cref="LabelledWorkQueue.TryTakeResult"/>: a random number, or a sender's number and a count. Zero if
    /// the message has no id.</summary>
    public UInt128 Id { get; init; }

    /// <summary>A hash of the message's key; zero if it has no key. While a message of a key waits, is delayed or is
    /// held, no other one of that key is sent.</summary>
    public ulong Key { get; init; }

    /// <summary>How long the result of the message is kept once it is done, or its cancellation, unless it is
    /// collected: whole seconds, up to 68 years. Zero to keep none.</summary>
    public TimeSpan KeepResult { get; init; }
}

/// <summary>What became of a message that was to be sent with labels.</summary>
public enum LabelledSendStatus
{
    /// <summary>It was sent.</summary>
    Sent,

    /// <summary>The queue is full. Nothing was sent.</summary>
    Full,

    /// <summary>Another message has the key. Nothing was sent.</summary>
    KeyTaken,
}

/// <summary>How sending with labels ended.</summary>
/// <param name="Status">What became of the message.</param>
/// <param name="Existing">With <see cref="LabelledSendStatus.KeyTaken"/>: the id of the message that has the
/// key.</param>
public readonly record struct LabelledSendResult(LabelledSendStatus Status, UInt128 Existing = default);

/// <summary>Where a message is in its life.</summary>
public enum MessageState
{
    /// <summary>The queue does not have it: it was never sent, it ended without a result to keep, or its result was
    /// collected or its time is over.</summary>
    Unknown,

    /// <summary>It waits for a worker, or for its time.</summary>
    Waiting,

    /// <summary>A worker holds it.</summary>
    Held,

    /// <summary>It is done, and its result is kept.</summary>
    Done,

    /// <summary>It was cancelled before a worker had it.</summary>
    Cancelled,

    /// <summary>It is a dead letter.</summary>
    Dead,
}
