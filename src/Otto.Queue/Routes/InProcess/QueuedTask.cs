namespace Otto.Queue;

// A task on its way within this process. A struct of four words and a half, copied into the ring, so that handing over allocates nothing.

internal struct QueuedTask
{
    /// <summary>The very object that the producer holds.</summary>
    internal object Task;

    internal TaskRegistration Registration;

    /// <summary>The low half of the id; the high half is the queue's.</summary>
    internal ulong Number;

    /// <summary>When, by the queue's clock; exact to some milliseconds unless waits are measured.</summary>
    internal long EnqueuedMicroseconds;

    /// <summary>What only some tasks carry; <see langword="null"/> on the fast path.</summary>
    internal TaskMetadata? Metadata;
}
