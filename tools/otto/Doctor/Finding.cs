namespace Otto.Tools.Doctor;

// What a check of the machine found: a line for people, an object for programs.

/// <summary>How serious a finding is.</summary>
internal enum FindingLevel
{
    /// <summary>As it should be.</summary>
    Ok,

    /// <summary>It works, and it is worth knowing.</summary>
    Note,

    /// <summary>Something fails, or will, until it is changed.</summary>
    Problem,
}

/// <summary>One thing that was checked.</summary>
/// <param name="Level">How serious it is.</param>
/// <param name="Area">
/// What it belongs to: directory, space, limits, kernel, leftovers, session, container, variables or redis.
/// </param>
/// <param name="Check">Its short name, which does not change.</param>
/// <param name="Text">What was found, with its numbers.</param>
/// <param name="Change">
/// What to change, or the command that does it; <see langword="null"/> if nothing has to change.
/// </param>
internal sealed record Finding(FindingLevel Level, string Area, string Check, string Text, string? Change = null)
{
    /// <summary>Gets the number that was found; <see langword="null"/> if it is none.</summary>
    public long? Value { get; init; }

    public static Finding Ok(string area, string check, string text) => new(FindingLevel.Ok, area, check, text);

    public static Finding Note(string area, string check, string text, string? change = null) =>
        new(FindingLevel.Note, area, check, text, change);

    public static Finding Problem(string area, string check, string text, string change) =>
        new(FindingLevel.Problem, area, check, text, change);
}
