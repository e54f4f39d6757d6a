using System.Diagnostics;

namespace Otto.Queue;

// What only some tasks carry: asked for by their producer, and kept through every attempt and route. On the fast path there is none.

internal sealed record TaskMetadata
{
    /// <summary>No other task of this key while this one is pending or running.</summary>
    internal string? UniqueKey { get; init; }

    /// <summary>Whether <see cref="UniqueKey"/> is registered in this process only.</summary>
    internal bool KeyIsLocal { get; init; }

    /// <summary>How long after each end the task is due again; zero for once.</summary>
    internal TimeSpan RepeatInterval { get; init; }

    /// <summary>Whether its producer waits for the result.</summary>
    internal bool TrackResult { get; init; }

    /// <summary>Whether its producer pinned it to a route.</summary>
    internal bool IsPinned { get; init; }

    /// <summary>The producer's span; default for none.</summary>
    internal ActivityContext Trace { get; init; }

    /// <summary>The producer's baggage, as the W3C header <c>baggage</c>; <see langword="null"/> if it has
    /// none.</summary>
    internal string? Baggage { get; init; }

    /// <summary>Whether the handler runs in a span of its own, with or without listeners.</summary>
    internal bool IsTraced => Trace != default || Baggage is not null;

    /// <summary>The task's copy on a route, leased by this process; <see langword="null"/> if there is none.</summary>
    internal HeldMessage? Held { get; init; }

    internal bool Repeats => RepeatInterval > TimeSpan.Zero;
}
