using System.Diagnostics;
using Otto.Ipc;

namespace Otto.Queue;

// A task between two attempts. An object, since only failures and stops make one.

internal sealed class DelayedTask
{
    internal required TaskBinding Binding { get; init; }

    internal required TaskId Id { get; init; }

    /// <summary>The task's object; <see langword="null"/> where it lives in a segment only.</summary>
    internal object? Task { get; init; }

    /// <summary>Attempts that have been made in this process.</summary>
    internal int AttemptsMade { get; init; }

    internal long EnqueuedMicroseconds { get; init; }

    internal ActivityContext Trace { get; init; }

    internal TaskTerms? Terms { get; init; }

    /// <summary>Whether it may not begin before its time: a delay, and not only a back-off, which a stop need not wait for.</summary>
    internal bool MustWait { get; init; }

    /// <summary>When it is due, by the clock's timestamp; set by the waiting room.</summary>
    internal long Due { get; set; }

    /// <summary>What an envelope says of it.</summary>
    internal EnvelopeHeader Header(int attemptsBefore) => new()
    {
        Id = Id,
        EnqueuedMicroseconds = EnqueuedMicroseconds,
        AttemptsBefore = attemptsBefore,
        Trace = Trace,
        Key = Terms?.Key,
        Every = Terms?.Every ?? default,
        WantsResult = Terms?.WantsResult ?? false,
        Pinned = Terms?.Pinned ?? false,
    };

    /// <summary>The message in a segment that this process holds; default where there is none.</summary>
    internal WorkLease Lease { get; init; }

    /// <summary>Who holds <see cref="Lease"/>; <see langword="null"/> where the task is only an object.</summary>
    internal RouteConnection? LeasedBy { get; init; }
}
