using System.Diagnostics;

namespace Otto.Ipc.Mmap.Inspection;

// What can be seen of one segment from outside, at one moment. Every number may be old by the time it is read.

/// <summary>One segment as it was seen from outside, without attaching to it.</summary>
public sealed record SegmentReport
{
    /// <summary>The channel's name; of a pool, the file name of the channel that lends and
    /// a part of that channel's identity.</summary>
    public required string Name { get; init; }

    /// <summary>What it is.</summary>
    public required SegmentKind Kind { get; init; }

    /// <summary>Its file.</summary>
    public required string Path { get; init; }

    /// <summary>The bytes that it takes, of a pool with the files of its blocks.</summary>
    public required long Bytes { get; init; }

    /// <summary>The user id of its owner.</summary>
    public required uint Owner { get; init; }

    /// <summary>Whether it can be used as it is.</summary>
    public required SegmentCondition Condition { get; init; }

    /// <summary>What fails a check, where <see cref="Condition"/> is not
    /// <see cref="SegmentCondition.Ready"/>.</summary>
    public string? Problem { get; init; }

    /// <summary>Whether a process has it open, as the kernel reports it.</summary>
    public bool InUse { get; init; }

    /// <summary>Its random identity; empty if it has none.</summary>
    public Guid Id { get; init; }

    /// <summary>How many participants it can have.</summary>
    public int MaxParticipants { get; init; }

    /// <summary>The participants that are attached, and those that died attached and were not swept yet.</summary>
    public IReadOnlyList<ParticipantReport> Participants { get; init; } = [];

    /// <summary>What it holds; <see langword="null"/> if that could not be read.</summary>
    public SegmentContents? Contents { get; init; }

    /// <summary>When it was inspected, as a <see cref="Stopwatch"/> timestamp.</summary>
    public long Timestamp { get; init; } = Stopwatch.GetTimestamp();

    /// <summary>Calculates what came and went between an earlier report and this one.</summary>
    /// <param name="earlier">The earlier report of the same segment.</param>
    /// <returns>The rates; <see langword="null"/> if the two are not of the same segment, or no time passed between
    /// them.</returns>
    public SegmentRates? RatesSince(SegmentReport earlier)
    {
        double seconds = Stopwatch.GetElapsedTime(earlier.Timestamp, Timestamp).TotalSeconds;
        if (Contents is null || earlier.Contents is null || earlier.Id != Id || earlier.Kind != Kind || seconds <= 0) return null;
        return new SegmentRates(
            Rate(Contents.TotalIn, earlier.Contents.TotalIn),
            Contents.TotalOut is { } left && earlier.Contents.TotalOut is { } before ? Rate(left, before) : null, Contents.Unit,
            TimeSpan.FromSeconds(seconds));

        // What only grows can still be read in the wrong order; a rate is never negative.
        double Rate(long now, long then) => Math.Max(0, now - then) / seconds;
    }
}

/// <summary>What a file in the directory of segments is.</summary>
public enum SegmentKind
{
    /// <summary>A stream.</summary>
    Stream,

    /// <summary>A work queue.</summary>
    Queue,

    /// <summary>A topic.</summary>
    Topic,

    /// <summary>The blocks that a channel lends.</summary>
    Pool,

    /// <summary>A task's region.</summary>
    Region,
}

/// <summary>Whether a segment can be used as it is.</summary>
public enum SegmentCondition
{
    /// <summary>It can.</summary>
    Ready,

    /// <summary>It was removed, and its remover died before the name was gone; or it is
    /// what such a removal left.</summary>
    Retired,

    /// <summary>
    /// It is on a disk, no process here has it open, and it was made under another boot id: before the machine last
    /// started, or by another machine. A process that opens it replaces it if it holds nothing; otherwise, the open
    /// fails.
    /// </summary>
    Stale,

    /// <summary>It fails a check. <see cref="SegmentReport.Problem"/> describes the failure.</summary>
    Unreadable,
}

/// <summary>A participant that is attached to a segment, or that died attached.</summary>
/// <param name="Number">The number by which the segment's words name it.</param>
/// <param name="Pid">The process, in its own pid namespace. For people: it proves nothing.</param>
/// <param name="Role">What it does: <c>sends</c>, <c>receives</c>, <c>takes work</c>,
/// <c>publishes</c>, <c>subscribes</c>, <c>lends</c>, or several.</param>
/// <param name="Alive">Whether the kernel holds its lock for it.</param>
/// <param name="SameNamespace">Whether <paramref name="Pid"/> means the same process here.</param>
public sealed record ParticipantReport(int Number, int Pid, string Role, bool Alive, bool SameNamespace);

/// <summary>What came and went between two reports of a segment.</summary>
/// <param name="InPerSecond">What came in, in <paramref name="Unit"/> per second.</param>
/// <param name="OutPerSecond">What went out; <see langword="null"/> if that leaves no trace in the segment.</param>
/// <param name="Unit">What is counted: messages, bytes with their frames, loans or writes.</param>
/// <param name="Over">The time between the reports.</param>
public sealed record SegmentRates(double InPerSecond, double? OutPerSecond, string Unit, TimeSpan Over);
