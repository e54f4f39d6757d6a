namespace Otto.Queue;

// What only some tasks carry: asked for by their producer, and kept through every attempt and route.

internal sealed record TaskTerms
{
    /// <summary>No other task of this key while this one is pending or running.</summary>
    internal string? Key { get; init; }

    /// <summary>How long after each end it is due again; zero for once.</summary>
    internal TimeSpan Every { get; init; }

    /// <summary>Whether somebody waits for its result.</summary>
    internal bool WantsResult { get; init; }

    /// <summary>Whether it was pinned to its route.</summary>
    internal bool Pinned { get; init; }

    /// <summary>Whether its key is registered in this process only.</summary>
    internal bool KeyIsHere { get; init; }

    /// <summary>What an envelope says; <see langword="null"/> where that is nothing special.</summary>
    internal static TaskTerms? Of(in EnvelopeHeader header)
        => header.Every == TimeSpan.Zero && !header.WantsResult ? null : new TaskTerms { Key = header.Key, Every = header.Every, WantsResult = header.WantsResult, Pinned = header.Pinned };
}
