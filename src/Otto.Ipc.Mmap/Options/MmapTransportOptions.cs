namespace Otto.Ipc.Mmap;

// What all segments of one transport share.

/// <summary>How a shared-memory transport finds its segments.</summary>
public sealed record MmapTransportOptions
{
    /// <summary>
    /// The directory of the segments, which must belong to this user and be writable by no other user.
    /// Left out: <c>OTTO_SHM_DIR</c>, else <c>/dev/shm/otto-uid</c>, else a directory of
    /// that name under the temp directory.
    /// </summary>
    public string? Directory { get; init; }
}
