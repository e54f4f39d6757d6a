using System.Diagnostics;
using Otto.Ipc;

namespace Otto.Queue;

// A task on its way within this process. A struct of four words and a half, copied into the ring, so that handing over allocates nothing.

internal struct QueuedTask
{
    /// <summary>The very object that the producer holds.</summary>
    internal object Task;

    internal TaskBinding Binding;

    /// <summary>The low half of the id; the high half is the queue's.</summary>
    internal ulong Number;

    /// <summary>When, by the queue's clock; exact to some milliseconds unless somebody measures waits.</summary>
    internal long EnqueuedMicroseconds;

    /// <summary>What only some tasks carry; <see langword="null"/> on the fast path.</summary>
    internal TaskBaggage? Baggage;
}

/// <summary>What a task carries beside itself when it is durable, traced, or asks for more.</summary>
internal sealed class TaskBaggage
{
    /// <summary>The task's copy in the segment, held by this process; default where there is none.</summary>
    internal WorkLease Kept { get; init; }

    internal RouteConnection? KeptBy { get; init; }

    internal ActivityContext Trace { get; init; }

    internal TaskTerms? Terms { get; init; }
}
