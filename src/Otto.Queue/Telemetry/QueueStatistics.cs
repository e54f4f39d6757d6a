namespace Otto.Queue;

// Numbers for people and tests that have no meter listener at hand.

/// <summary>What one queue did in this process since it was made. Read without stopping anyone, so exact only while nobody moves.</summary>
/// <param name="Queue">The queue.</param>
/// <param name="Waiting">Tasks that wait in this process now, back-offs included.</param>
/// <param name="InProcess">Tasks handed over as objects.</param>
/// <param name="Remote">Tasks sent to routes beyond this process.</param>
/// <param name="Completed">Tasks that a handler here finished.</param>
/// <param name="Failed">Attempts here that failed.</param>
/// <param name="Retried">Failed attempts that were, or will be, made again.</param>
/// <param name="DeadLettered">Tasks put among the dead letters from here.</param>
/// <param name="Lost">Tasks given up that no route could keep.</param>
/// <param name="Overflowed">Tasks that went to another route because the queue here was full.</param>
/// <param name="Rejected">Tasks refused with a <see cref="QueueFullException"/>.</param>
/// <param name="Cancelled">Tasks that ended here because somebody cancelled them.</param>
/// <param name="Returned">Tasks given back because no handler for them is here.</param>
public sealed record QueueStatistics(
    string Queue,
    int Waiting,
    long InProcess,
    long Remote,
    long Completed,
    long Failed,
    long Retried,
    long DeadLettered,
    long Lost,
    long Overflowed,
    long Rejected,
    long Cancelled,
    long Returned);
