namespace Otto.Ipc.Uds.Protocol;

// How far a client's commands have been understood, and where their answers go. A protocol knows its client by this alone.

/// <summary>The state of one client's commands; the connection adds what it is connected by.</summary>
internal abstract class ProtocolSession
{
    /// <summary>Where answers go.</summary>
    public abstract IReplyWriter Reply { get; }

    /// <summary>Whether its next command may be run now.</summary>
    public abstract bool TakesCommands { get; }

    public Dialect Dialect { get; set; }

    /// <summary>Whether it is closed once its output is taken; no command of it is run any more.</summary>
    public bool IsClosing { get; set; }

    /// <summary>Whether a newline ever came; until then its first command may be meant without one.</summary>
    public bool SawNewline { get; set; }

    /// <summary>Whether anything was answered yet.</summary>
    public bool WasAnswered { get; set; }

    /// <summary>Bytes of the present command that are thrown away as they come; in text,
    /// anything but 0 means up to the newline.</summary>
    public long Skipping { get; set; }

    /// <summary>How much of what was kept is known to have no newline.</summary>
    public int Scanned { get; set; }

    /// <summary>What its commands cost in this turn.</summary>
    public int Work { get; set; }

    /// <summary>Subscribes this client to a pattern; a pattern that it has gets the new interests.</summary>
    /// <param name="pattern">To what.</param>
    /// <param name="interests">Which events.</param>
    /// <param name="problem">Why not.</param>
    /// <returns>The code of the error; <see langword="null"/> if it is subscribed.</returns>
    public abstract string? Subscribe(KeyPattern pattern, Interests interests, out string problem);

    /// <summary>Ends the subscription to a pattern, if there is one.</summary>
    public abstract void Unsubscribe(string pattern);
}
