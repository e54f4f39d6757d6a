using Otto.Ipc.Uds.PubSub;

namespace Otto.Ipc.Uds.Server;

// One client. Idle it is this object, its output's and nothing else: ten thousand of them are a few megabytes.

/// <summary>What a client speaks, decided by its first four bytes for good.</summary>
internal enum Dialect : byte
{
    Unknown,
    Text,
    Binary,
}

/// <summary>One client's connection, owned by the server's thread.</summary>
internal sealed class Connection(int descriptor, int generation, BufferPool chunks, ServerLoop server)
{
    public Input Input;

    public int Descriptor { get; } = descriptor;

    /// <summary>Tells this connection from an earlier one with the same descriptor.</summary>
    public int Generation { get; } = generation;

    /// <summary>What comes back with its events.</summary>
    public long Tag => (long)Generation << 32 | (uint)Descriptor;

    public Output Output { get; } = new(chunks);

    public ServerLoop Server { get; } = server;

    public Dialect Dialect { get; set; }

    /// <summary>What it is subscribed to; <see langword="null"/> for most.</summary>
    public Subscriber? Subscriber { get; set; }

    /// <summary>What epoll was last asked to watch it for.</summary>
    public uint Watched { get; set; }

    /// <summary>Whether its last bytes were received.</summary>
    public bool InputEnded { get; set; }

    /// <summary>Whether it is closed once its output is taken; no command of it is run any more.</summary>
    public bool IsClosing { get; set; }

    public bool IsClosed { get; set; }

    /// <summary>Whether a newline ever came; until then its first command may be meant without one.</summary>
    public bool SawNewline { get; set; }

    /// <summary>Whether anything was answered yet.</summary>
    public bool WasAnswered { get; set; }

    /// <summary>Whether an alarm will look at its silence.</summary>
    public bool IsSilenceWatched { get; set; }

    /// <summary>Whether an alarm will look at whether it reads.</summary>
    public bool IsReadingWatched { get; set; }

    /// <summary>Whether it stands in the list of those that have something to send.</summary>
    public bool IsDirty { get; set; }

    /// <summary>Whether it stands in the list of those that go on with what they kept.</summary>
    public bool IsReady { get; set; }

    /// <summary>Bytes of the present command that are thrown away as they come; in text, anything but 0 means up to the newline.</summary>
    public long Skipping { get; set; }

    /// <summary>How much of what was kept is known to have no newline.</summary>
    public int Scanned { get; set; }

    /// <summary>What its commands cost in this turn.</summary>
    public int Work { get; set; }

    /// <summary>When its last bytes came, as a time stamp.</summary>
    public long LastInput { get; set; }

    /// <summary>When the kernel last took something of its output, as a time stamp.</summary>
    public long LastTaken { get; set; }

    /// <summary>Whether it was told that it is too slow; it is not waited for without end.</summary>
    public bool IsEvicted { get; set; }

    /// <summary>Whether its commands waited for its reading when it was last looked at.</summary>
    public bool Waited { get; set; }

    /// <summary>Whether its commands wait until it has read more of what it was sent.</summary>
    public bool WaitsForReader => Output.Unsent >= Server.Options.MaxUnreadBytes || WaitsForMemory || Subscriber is { HasSnapshot: true };

    /// <summary>Whether they wait because all connections together hold too much, and this one has a part in it.</summary>
    public bool WaitsForMemory => Server.Budget.IsTight && Output.Unsent > 0;

    /// <summary>Whether it stands in the list of those that go on when there is memory again.</summary>
    public bool IsShort { get; set; }

    /// <summary>Whether its next command may be run now.</summary>
    public bool TakesCommands => !IsClosing && Work < ServerLoop.WorkPerTurn && !WaitsForReader;
}
