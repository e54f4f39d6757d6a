namespace Otto.Queue;

// A task between two attempts. An object, since only failures and stops make one.

internal sealed record DelayedTask
{
    internal required TaskRegistration Registration { get; init; }

    internal required TaskId Id { get; init; }

    /// <summary>The task's object; <see langword="null"/> if only a route has the task.</summary>
    internal object? Task { get; init; }

    /// <summary>Attempts that have been made in this process.</summary>
    internal int AttemptsMade { get; init; }

    internal long EnqueuedMicroseconds { get; init; }

    internal TaskMetadata? Metadata { get; init; }

    /// <summary>The task's message on a route, leased by this process; <see langword="null"/> if the task is only an
    /// object.</summary>
    internal IHeldMessage? Held { get; init; }

    /// <summary>Whether it may not begin before its time: a delay, and not only a back-off, which a stop need not wait
    /// for.</summary>
    internal bool MustWait { get; init; }

    /// <summary>When it is due, by the clock's timestamp; set by <see cref="DelayedTaskQueue"/>.</summary>
    internal long Due { get; set; }

    internal bool Repeats => Metadata is { Repeats: true };

    /// <summary>What an envelope says of it.</summary>
    internal EnvelopeHeader Header(int attemptsBefore) =>
        new() { Id = Id, EnqueuedMicroseconds = EnqueuedMicroseconds, AttemptsBefore = attemptsBefore, Metadata = Metadata };
}
