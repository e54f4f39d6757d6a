using Otto.Ipc;

namespace Otto.Queue;

// What a producer can ask for beyond the default.

/// <summary>What a producer asks for one task. Immutable: keep an instance and use it again, so that nothing is allocated a task.</summary>
public sealed record EnqueueOptions
{
    internal static readonly EnqueueOptions Default = new();

    /// <summary>What the task must survive. <see cref="Durability.None"/> unless said otherwise.</summary>
    public Durability Durability { get; init; }

    /// <summary>Pins the task to one route, whatever the queue would have chosen; <see langword="null"/> lets the queue choose.</summary>
    /// <remarks>A pinned task never spills: where its route is full, the caller waits or is refused.</remarks>
    public Route? Route { get; init; }

    /// <summary>How long nobody may begin the task, at least; zero for at once, at most 3,650 days.</summary>
    /// <remarks>A delayed task does not depend on this process where another route is on: it waits there.</remarks>
    public TimeSpan Delay { get; init; }

    /// <summary>When the task may begin at the earliest, instead of <see cref="Delay"/>; a time that has passed means at once.</summary>
    /// <remarks>Made a delay when the task is enqueued, by this machine's clock; what the clock does afterwards does not matter.</remarks>
    public DateTimeOffset? NotBefore { get; init; }

    internal void Check()
    {
        if (Delay < TimeSpan.Zero || Delay > IWorkQueue.LongestDelay)
            throw new ArgumentException($"Delay must be 0 to {IWorkQueue.LongestDelay.TotalDays:N0} days: {Delay}");
        if (NotBefore is not null && Delay != TimeSpan.Zero) throw new ArgumentException("a task has a Delay or a time NotBefore, not both");
    }

    internal TimeSpan DelayFrom(QueueClock clock)
    {
        if (NotBefore is not { } time) return Delay;
        TimeSpan delay = time - clock.Provider.GetUtcNow();
        return delay <= TimeSpan.Zero ? TimeSpan.Zero : delay < IWorkQueue.LongestDelay ? delay : throw new ArgumentException($"NotBefore is more than {IWorkQueue.LongestDelay.TotalDays:N0} days away: {time:O}");
    }
}
