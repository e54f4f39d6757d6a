namespace Otto.Ipc.Files;

// What all stores, streams and queues of one transport share. Validated once, when the transport is made.

/// <summary>Where a files transport keeps its files, and how it writes and watches them.</summary>
public sealed record FilesTransportOptions
{
    /// <summary>
    /// The directory of the run. It must belong to this user, and no other user may be able to write to it. It is
    /// created if it is missing. If not set: <c>OTTO_TASKS_DIR</c>, else <c>OTTO_HOME</c>, else <c>.otto</c> in the
    /// current directory.
    /// </summary>
    public string? Directory { get; init; }

    /// <summary>What a change survives. Default <see cref="FlushLevel.None"/>: the data of a run.</summary>
    public FlushLevel Flush { get; init; }

    /// <summary>How a waiter learns of a change.</summary>
    public WatchMode Watching { get; init; }

    /// <summary>The interval at which a waiter polls if it gets no notifications of changes: 1 ms to 1 minute, default
    /// 20 ms.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromMilliseconds(20);

    /// <summary>How long a writer waits for another one's lock before it throws
    /// <see cref="TimeoutException"/>. Default 30 s.</summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The largest value of a store: 1 byte to 256 MiB, default 1 MiB.</summary>
    public int MaxValueBytes { get; init; } = 1 << 20;

    /// <summary>The largest store, all its keys and values together: at most 1 GiB, default 64 MiB.</summary>
    /// <remarks>A change that would exceed it is refused, and so is a file that does.</remarks>
    public int MaxStoreBytes { get; init; } = 64 << 20;

    internal void Validate()
    {
        if (!Enum.IsDefined(Flush)) throw new ArgumentOutOfRangeException(nameof(Flush), $"no such flush level: {(int)Flush}");
        if (!Enum.IsDefined(Watching)) throw new ArgumentOutOfRangeException(nameof(Watching), $"no such watch mode: {(int)Watching}");
        if (PollInterval < TimeSpan.FromMilliseconds(1) || PollInterval > TimeSpan.FromMinutes(1))
            throw new ArgumentOutOfRangeException(nameof(PollInterval), $"poll interval must be 1 ms to 1 minute: {PollInterval}");
        if (LockTimeout < TimeSpan.Zero && LockTimeout != Timeout.InfiniteTimeSpan)
            throw new ArgumentOutOfRangeException(nameof(LockTimeout), $"a lock timeout cannot be negative: {LockTimeout}");
        Limits.Check(MaxValueBytes, 1, 256 << 20, nameof(MaxValueBytes));
        Limits.Check(MaxStoreBytes, 16, 1 << 30, nameof(MaxStoreBytes));
    }
}
