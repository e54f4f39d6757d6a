using System.Diagnostics;
using Otto.Ipc;

namespace Otto.Queue;

// A task between two attempts. An object, since only failures and stops make one.

internal sealed class WaitingTask
{
    internal required TaskBinding Binding { get; init; }

    internal required TaskId Id { get; init; }

    /// <summary>The task's object; <see langword="null"/> where it lives in a segment only.</summary>
    internal object? Task { get; init; }

    /// <summary>Attempts that have been made in this process.</summary>
    internal int AttemptsMade { get; init; }

    internal long EnqueuedMicroseconds { get; init; }

    internal ActivityContext Trace { get; init; }

    /// <summary>The message in a segment that this process holds; default where there is none.</summary>
    internal WorkLease Lease { get; init; }

    /// <summary>Who holds <see cref="Lease"/>; <see langword="null"/> where the task is only an object.</summary>
    internal RouteQueue? LeasedBy { get; init; }
}
