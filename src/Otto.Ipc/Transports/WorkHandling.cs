namespace Otto.Ipc.Transports;

// What a worker reports to its queue about a lease, and what the queue knows of earlier leases: a death counts only for a message that may
// have caused it.

/// <summary>How the holder of a lease works on it: decides what the holder's death means for the message.</summary>
public enum WorkHandling
{
    /// <summary>The holder works on it, and nothing else: its death counts as an attempt. What holds for a new
    /// lease.</summary>
    Alone = 0,

    /// <summary>The holder works on it and on other messages. Of deaths in this state the first counts, as one that is
    /// not proven.</summary>
    BesideOthers = 1,

    /// <summary>The holder has not begun: its death does not count.</summary>
    NotBegun = 2,
}

/// <summary>What happened to a message in earlier leases.</summary>
/// <param name="HolderDied">Whether the last holder died while it worked on the message.</param>
/// <param name="UnprovenAttempts">How many of the counted attempts are deaths of which another message may have been
/// the cause: 0 or 1.</param>
public readonly record struct DeliveryHistory(bool HolderDied, int UnprovenAttempts);
