using System.Diagnostics;
using Otto.Ipc;

namespace Otto.Queue;

// What a producer can ask for beyond the default.

/// <summary>What a producer asks for one task. Immutable: keep an instance and use it again, so that nothing is
/// allocated a task.</summary>
public sealed record EnqueueOptions
{
    internal static readonly EnqueueOptions Default = new();

    internal static readonly EnqueueOptions Tracked = new() { TrackResult = true };

    // A key and its length share a byte of the envelope.
    private const int MaxKeyBytes = byte.MaxValue;

    /// <summary>What the task must survive. <see cref="Durability.None"/> unless said otherwise.</summary>
    public Durability Durability { get; init; }

    /// <summary>Pins the task to one route, whatever the queue would have chosen; <see langword="null"/> lets the queue
    /// choose.</summary>
    /// <remarks>A pinned task never takes another route: if its route is full, the caller
    /// waits, or the task is rejected.</remarks>
    public RouteName? Route { get; init; }

    /// <summary>The least time before a worker may begin the task; zero for at once, at most 3,650 days.</summary>
    /// <remarks>A delayed task does not depend on this process where another route is on: it waits there.</remarks>
    public TimeSpan Delay { get; init; }

    /// <summary>When the task may begin at the earliest, instead of <see cref="Delay"/>; a time that has passed means
    /// at once.</summary>
    /// <remarks>Made a delay when the task is enqueued, by this machine's clock; what the clock does afterwards does
    /// not matter.</remarks>
    public DateTimeOffset? NotBefore { get; init; }

    /// <summary>Refuses the task while another of this key in its queue is pending or running: 1 to 255 bytes as UTF-8;
    /// <see langword="null"/> if there is none.</summary>
    /// <remarks>A task with a key goes the widest configured way, where the key is registered with it; a pinned one is
    /// only compared with those pinned alike.</remarks>
    public string? UniqueKey { get; init; }

    /// <summary>Runs the task again and again: this long after each end it is due once more, until it is cancelled.
    /// <see langword="null"/> for once; 1 ms to 3,650 days.</summary>
    /// <remarks>A time that failed is not retried: the next time is the next try. Give it a <see cref="UniqueKey"/>, so
    /// that a program that starts again does not add another.</remarks>
    public TimeSpan? RepeatInterval { get; init; }

    /// <summary>Whether the result is wanted: then
    /// <see cref="ITaskQueue.WaitAsync{TResult}(TaskReceipt, CancellationToken)"/> waits
    /// for it. It also reports when a task without a result has ended.</summary>
    public bool TrackResult { get; init; }

    /// <summary>What the task carries because of these options; <see langword="null"/> if nothing.</summary>
    /// <param name="trace">The producer's span; default for none.</param>
    /// <param name="baggage">The producer's baggage.</param>
    internal TaskMetadata? Metadata(ActivityContext trace, string? baggage) =>
        UniqueKey is null && RepeatInterval is null && !TrackResult && Route is null && trace == default && baggage is null ? null
        : new TaskMetadata { UniqueKey = UniqueKey, RepeatInterval = RepeatInterval ?? TimeSpan.Zero, TrackResult = TrackResult,
            IsPinned = Route is not null, Trace = trace, Baggage = baggage };

    internal void Check()
    {
        if (UniqueKey is not null && System.Text.Encoding.UTF8.GetByteCount(UniqueKey) is var bytes and (0 or > MaxKeyBytes))
            throw new ArgumentException($"UniqueKey must have 1 to {MaxKeyBytes} bytes as UTF-8: {bytes:N0}");
        if (RepeatInterval is { } every && (every < TimeSpan.FromMilliseconds(1) || every > WorkQueue.MaxDelay))
            throw new ArgumentException($"RepeatInterval must be 1 ms to {WorkQueue.MaxDelay.TotalDays:N0} days: {every}");
        if (RepeatInterval is not null && TrackResult)
            throw new ArgumentException("a task with a RepeatInterval never ends and has no result; leave out TrackResult");
        if (Delay < TimeSpan.Zero || Delay > WorkQueue.MaxDelay)
            throw new ArgumentException($"Delay must be 0 to {WorkQueue.MaxDelay.TotalDays:N0} days: {Delay}");
        if (NotBefore is not null && Delay != TimeSpan.Zero)
            throw new ArgumentException("a task can have a Delay or a NotBefore, but not both");
    }

    internal TimeSpan DelayFrom(TimeProvider clock)
    {
        if (NotBefore is not { } time) return Delay;
        TimeSpan delay = time - clock.GetUtcNow();
        return delay <= TimeSpan.Zero ? TimeSpan.Zero
            : delay < WorkQueue.MaxDelay ? delay
            : throw new ArgumentException($"NotBefore is more than {WorkQueue.MaxDelay.TotalDays:N0} days away: {time:O}");
    }
}
