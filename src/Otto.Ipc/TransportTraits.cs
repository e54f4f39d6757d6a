namespace Otto.Ipc;

// What a transport claims of itself, one member a row of the usual comparison table, so that a benchmark can contradict it.

/// <summary>
/// The ten properties by which people choose a transport. A transport states them; the benchmark matrix probes them.
/// </summary>
/// <param name="Speed">How long a small message takes there and back.</param>
/// <param name="Streaming">Whether a receiver sees the first frame before the sender has finished.</param>
/// <param name="Persistent">What a message that was sent survives.</param>
/// <param name="Debuggable">How a person inspects what is inside.</param>
/// <param name="ShellFriendly">What a shell script needs to take part.</param>
/// <param name="Bidirectional">Whether a reply can come back over the same channel.</param>
/// <param name="SetUp">How much has to happen before the first message.</param>
/// <param name="Overhead">What a message costs in processor time.</param>
/// <param name="MaxMessageBytes">
/// The largest message in bytes that this transport can be configured for; <see langword="null"/> if only storage
/// bounds it.
/// </param>
/// <param name="Platforms">Where it runs; a platform that was never tried is marked as such.</param>
public sealed record TransportTraits(
    TransportSpeed Speed,
    TransportSupport Streaming,
    TransportPersistence Persistent,
    TransportEase Debuggable,
    TransportEase ShellFriendly,
    bool Bidirectional,
    TransportLevel SetUp,
    TransportLevel Overhead,
    long? MaxMessageBytes,
    string Platforms);

/// <summary>How long a small message takes there and back, waiting included.</summary>
public enum TransportSpeed
{
    /// <summary>200 µs or more.</summary>
    Slow,

    /// <summary>Under 200 µs.</summary>
    Fast,

    /// <summary>Under 2 µs while both ends are awake.</summary>
    VeryFast,
}

/// <summary>How far a property is offered.</summary>
public enum TransportSupport
{
    /// <summary>Not offered.</summary>
    No,

    /// <summary>Offered with a restriction that the documentation names.</summary>
    Partial,

    /// <summary>Offered.</summary>
    Yes,
}

/// <summary>What a message survives after it was sent.</summary>
public enum TransportPersistence
{
    /// <summary>It is gone when either end is.</summary>
    None,

    /// <summary>It survives every process, until the machine restarts.</summary>
    UntilReboot,

    /// <summary>It survives a restart of the machine.</summary>
    Disk,
}

/// <summary>How hard something is for a person.</summary>
public enum TransportEase
{
    /// <summary>Needs a tool of this project.</summary>
    Hard,

    /// <summary>Needs a general tool, such as <c>nc</c>.</summary>
    Medium,

    /// <summary>Needs only the shell and <c>cat</c>.</summary>
    Easy,
}

/// <summary>How much of something there is.</summary>
public enum TransportLevel
{
    /// <summary>Little.</summary>
    Low,

    /// <summary>Some.</summary>
    Medium,

    /// <summary>Much.</summary>
    High,
}
