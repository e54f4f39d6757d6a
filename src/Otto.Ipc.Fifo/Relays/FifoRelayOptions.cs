using Otto.Ipc.Fifo.Platform;

namespace Otto.Ipc.Fifo.Relays;

// How many programs stand on each side of a relay, and how what they write is put together.

/// <summary>How to make a relay.</summary>
public sealed record FifoRelayOptions
{
    internal const int MostPrograms = 64;

    /// <summary>
    /// The directory in which the relay creates one of its own. It must belong to this user, and no other user may be
    /// able to write to it. If not set: <c>OTTO_FIFO_DIR</c>, else <c>$XDG_RUNTIME_DIR/otto</c>, else
    /// <c>/tmp/otto-uid</c>.
    /// </summary>
    public string? Directory { get; init; }

    /// <summary>How many producers, each with a FIFO of its own: 1 to 64. What several
    /// write is merged frame by frame.</summary>
    public int Producers { get; init; } = 1;

    /// <summary>How many consumers, each with a FIFO of its own: 1 to 64. Each gets
    /// everything; the slowest sets the pace.</summary>
    public int Consumers { get; init; } = 1;

    /// <summary>What a frame is where several producers are merged. The bytes of a single
    /// producer pass as they are.</summary>
    public FifoFraming Framing { get; init; }

    /// <summary>How large each pipe should be: 4,096 bytes to 1 GiB; the system may give less.</summary>
    public int PipeBytes { get; init; } = FifoStreamOptions.DefaultPipeBytes;

    /// <summary>
    /// Whether a side ends only when every process that has its FIFO open has closed it, the children that a program
    /// left running too. By default it ends with its program: what the program wrote is
    /// passed on, what its children write afterwards is not.
    /// </summary>
    public bool UntilClosed { get; init; }

    internal void Validate()
    {
        if (Producers is < 1 or > MostPrograms)
            throw new ArgumentOutOfRangeException(nameof(Producers), $"a relay has 1 to {MostPrograms} producers: {Producers:N0}");
        if (Consumers is < 1 or > MostPrograms)
            throw new ArgumentOutOfRangeException(nameof(Consumers), $"a relay has 1 to {MostPrograms} consumers: {Consumers:N0}");
        if (!Enum.IsDefined(Framing)) throw new ArgumentOutOfRangeException(nameof(Framing), $"no such framing: {(int)Framing}");
        if (PipeBytes is < Pipe.PageBytes or > 1 << 30)
            throw new ArgumentOutOfRangeException(nameof(PipeBytes),
                $"pipe bytes must be {Pipe.PageBytes:N0} to {1 << 30:N0}: {PipeBytes:N0}");
    }
}

/// <summary>What became of a relay.</summary>
/// <param name="Bytes">How many bytes the producers handed over.</param>
/// <param name="ConsumersLeft">Whether every consumer had left before all of it was passed on. Producers that continued
/// to write received SIGPIPE.</param>
/// <param name="Errors">What could not be passed on whole, one sentence each.</param>
public sealed record FifoRelayReport(long Bytes, bool ConsumersLeft, IReadOnlyList<string> Errors);
