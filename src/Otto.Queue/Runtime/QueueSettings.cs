namespace Otto.Queue;

// What a program's options say about each of its queues.

/// <summary>The routes of a queue, and how its tasks are put on them.</summary>
/// <param name="InProcess">The bounds of the route within this process.</param>
/// <param name="Routes">The routes beyond this process, nearest first.</param>
/// <param name="RoundTripEveryTask">Whether each task is serialized and read back.</param>
/// <param name="IgnorePins">Whether tasks go where they would without a pin.</param>
internal sealed record QueueSettings(InProcessOptions InProcess, IReadOnlyList<ITaskRoute> Routes, bool RoundTripEveryTask,
    bool IgnorePins);

/// <summary>What the queues of one <see cref="ITaskQueue"/> have in common.</summary>
/// <param name="Queue">What handlers enqueue follow-up tasks with.</param>
/// <param name="Results">The results that producers here wait for.</param>
/// <param name="Handlers">The context in which handlers run.</param>
/// <param name="Isolation">Lets one task at a time run alone.</param>
/// <param name="Services">Whether handlers can still be made.</param>
internal sealed record SharedParts(ITaskQueue Queue, PendingResults Results, HandlerScope Handlers, IsolationGate Isolation,
    ServicesStatus Services);
