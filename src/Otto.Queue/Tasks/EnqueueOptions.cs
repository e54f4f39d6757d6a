namespace Otto.Queue;

// What a producer can ask for beyond the default. Key, delay and the like will be further properties here; the envelope has room for them.

/// <summary>What a producer asks for one task. Immutable: keep an instance and use it again, so that nothing is allocated a task.</summary>
public sealed record EnqueueOptions
{
    internal static readonly EnqueueOptions Default = new();

    /// <summary>What the task must survive. <see cref="Durability.None"/> unless said otherwise.</summary>
    public Durability Durability { get; init; }

    /// <summary>Pins the task to one route, whatever the queue would have chosen; <see langword="null"/> lets the queue choose.</summary>
    /// <remarks>A pinned task never spills: where its route is full, the caller waits or is refused.</remarks>
    public Route? Route { get; init; }
}
