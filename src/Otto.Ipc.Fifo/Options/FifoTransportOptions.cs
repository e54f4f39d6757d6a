namespace Otto.Ipc.Fifo;

// What all streams of one transport share.

/// <summary>How a FIFO transport finds its FIFOs, and how it opens a stream that is opened without options.</summary>
public sealed record FifoTransportOptions
{
    /// <summary>
    /// The directory of the FIFOs. It must belong to this user, and no other user may be able to write to it. It is
    /// created with mode 0700. If not set: <c>OTTO_FIFO_DIR</c>, else <c>$XDG_RUNTIME_DIR/otto</c>, else
    /// <c>/tmp/otto-uid</c>.
    /// </summary>
    public string? Directory { get; init; }

    /// <summary>The options of a stream that is opened without any, as through
    /// <see cref="IStreamTransport"/>. Left out, the defaults.</summary>
    public FifoStreamOptions? Stream { get; init; }
}
