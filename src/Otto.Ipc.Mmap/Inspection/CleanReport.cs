namespace Otto.Ipc.Mmap.Inspection;

// What cleaning did, one line a segment: what stays says why.

/// <summary>What cleaning did with one segment, or would do.</summary>
/// <param name="Segment">The segment as it was seen before.</param>
/// <param name="Removed">Whether it was removed; after a dry run, whether it would be.</param>
/// <param name="Reason">Why it was removed, or why it was left.</param>
public sealed record CleanReport(SegmentReport Segment, bool Removed, string Reason);

/// <summary>How to clean.</summary>
public sealed record CleanOptions
{
    /// <summary>Only say what would be done.</summary>
    public bool DryRun { get; init; }

    /// <summary>
    /// Also remove what no process has open but a process may come back for: messages that were not read or done, lent
    /// blocks, and files that fail a check.
    /// </summary>
    public bool IncludePending { get; init; }

    /// <summary>
    /// Clean only the segments of this name, as <see cref="MmapInspector.Find"/> finds them. Left out, all.
    /// </summary>
    public string? Name { get; init; }
}
