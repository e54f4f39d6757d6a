namespace Otto.Ipc;

// One look at a queue. The counts are taken one after another, without stopping anyone.

/// <summary>What a queue holds.</summary>
/// <param name="Ready">Messages that wait for a worker.</param>
/// <param name="Leased">Messages that a worker holds.</param>
/// <param name="Dead">Dead letters.</param>
/// <param name="Free">Messages that could still be sent.</param>
/// <param name="OldestReadyAge">How long the oldest ready message has waited; zero if there is none.</param>
public readonly record struct WorkQueueCounts(int Ready, int Leased, int Dead, int Free, TimeSpan OldestReadyAge)
{
    /// <summary>Messages whose time has not come.</summary>
    public int Delayed { get; init; }

    /// <summary>Cancelled messages that the queue has not come to yet, so that their room is still taken.</summary>
    public int Cancelled { get; init; }

    /// <summary>Results of messages that are done, and cancellations, which wait to be collected; zero if the transport
    /// keeps none. They take room until their time is over.</summary>
    public int Results { get; init; }

    /// <summary>Messages that were passed over and wait for a worker that takes them.</summary>
    public int PassedOver { get; init; }

    /// <summary>How many dead letters were deleted because there were too many, or their time was over.</summary>
    public long DroppedDeadLetters { get; init; }

    /// <summary>How many results were deleted uncollected, because their time was over or their room was
    /// needed.</summary>
    public long DroppedResults { get; init; }

    /// <summary>How long the oldest lease has been held; zero if there is none.</summary>
    public TimeSpan OldestLeaseAge { get; init; }

    /// <summary>
    /// How many messages have become ready, each return counted again: two counts give a rate. <see langword="null"/>
    /// if the transport does not count.
    /// </summary>
    public long? TotalIn { get; init; }
}
