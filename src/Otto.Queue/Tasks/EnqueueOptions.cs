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

    /// <summary>Refuses the task while another of this key in its queue is pending or running: 1 to 255 bytes as UTF-8; <see langword="null"/> for none.</summary>
    /// <remarks>A task with a key goes the widest configured way, where the key is registered with it; a pinned one is only compared with those pinned alike.</remarks>
    public string? UniqueKey { get; init; }

    /// <summary>Runs the task again and again: this long after each end it is due once more, until it is cancelled. <see langword="null"/> for once; 1 ms to 3,650 days.</summary>
    /// <remarks>A time that failed is not retried: the next time is the next try. Give it a <see cref="UniqueKey"/>, so that a program that starts again does not add another.</remarks>
    public TimeSpan? RepeatInterval { get; init; }

    /// <summary>Whether the result is wanted: then <see cref="ITaskQueue.WaitAsync{TResult}"/> waits for it. Also tells when a task without one has ended.</summary>
    public bool TrackResult { get; init; }

    internal TaskTerms? Terms => UniqueKey is null && RepeatInterval is null && !TrackResult && Route is null ? null
        : new TaskTerms { Key = UniqueKey, Every = RepeatInterval ?? TimeSpan.Zero, WantsResult = TrackResult, Pinned = Route is not null };

    internal void Check()
    {
        if (UniqueKey is not null && System.Text.Encoding.UTF8.GetByteCount(UniqueKey) is var bytes and (0 or > EnvelopeLayout.MaxKeyBytes))
            throw new ArgumentException($"Key must have 1 to {EnvelopeLayout.MaxKeyBytes} bytes as UTF-8: {bytes:N0}");
        if (RepeatInterval is { } every && (every < TimeSpan.FromMilliseconds(1) || every > WorkQueue.MaxDelay))
            throw new ArgumentException($"Every must be 1 ms to {WorkQueue.MaxDelay.TotalDays:N0} days: {every}");
        if (RepeatInterval is not null && TrackResult) throw new ArgumentException("a task that recurs has no end, and so no Result");
        if (Delay < TimeSpan.Zero || Delay > WorkQueue.MaxDelay)
            throw new ArgumentException($"Delay must be 0 to {WorkQueue.MaxDelay.TotalDays:N0} days: {Delay}");
        if (NotBefore is not null && Delay != TimeSpan.Zero) throw new ArgumentException("a task has a Delay or a time NotBefore, not both");
    }

    internal TimeSpan DelayFrom(QueueClock clock)
    {
        if (NotBefore is not { } time) return Delay;
        TimeSpan delay = time - clock.Provider.GetUtcNow();
        return delay <= TimeSpan.Zero ? TimeSpan.Zero : delay < WorkQueue.MaxDelay ? delay : throw new ArgumentException($"NotBefore is more than {WorkQueue.MaxDelay.TotalDays:N0} days away: {time:O}");
    }
}
