namespace Otto.Queue;

// What every part of one queue needs to know: facts, and where to report. It has no behaviour and reaches no other part.

/// <summary>One queue's name, life, ids, clock and reports.</summary>
internal sealed record QueueContext(string Name, QueueLifetime Lifetime, TaskIdSource Ids, QueueClock Clock, QueueTelemetry Telemetry,
    QueueLog Log)
{
    internal KeyValuePair<string, object?> NameTag { get; } = new("messaging.destination.name", Name);
}
