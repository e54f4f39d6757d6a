using Otto.Ipc.Fifo.Platform;

namespace Otto.Ipc.Fifo;

// How one stream is framed and bounded. What is left null is taken from the ends that are open already, or from the defaults.

/// <summary>How to open a stream in a FIFO.</summary>
/// <remarks>A framing or a limit that is stated and differs from what the stream's other
/// .NET ends use is refused.</remarks>
public sealed record FifoStreamOptions
{
    /// <summary>The default <see cref="MaxMessageBytes"/>: 65,536.</summary>
    public const int DefaultMaxMessageBytes = 65_536;

    /// <summary>The default <see cref="PipeBytes"/>: 256 KiB.</summary>
    public const int DefaultPipeBytes = 256 * 1024;

    internal const int MostMessageBytes = 1 << 30;

    /// <summary>Gets how messages are separated. The default is lines.</summary>
    public FifoFraming? Framing { get; init; }

    /// <summary>
    /// The largest message in bytes, its framing not counted: 1 byte to 1 GiB. A receiver needs a pipe that holds such
    /// a message whole; without privileges the system gives at most 1 MiB (<c>/proc/sys/fs/pipe-max-size</c>).
    /// With lines of up to 4,095 bytes, or length-prefixed messages of up to 4,092, one write carries a message and
    /// senders need no lock; above that each takes one for each message.
    /// </summary>
    public int? MaxMessageBytes { get; init; }

    /// <summary>How large a pipe to ask the system for: 4,096 bytes to 1 GiB. It may give
    /// less; a pipe that is larger already is left alone.</summary>
    public int PipeBytes { get; init; } = DefaultPipeBytes;

    /// <summary>
    /// For a receiver: keep the stream open while senders come and go. It then never completes, and shells may
    /// <c>echo … &gt; pipe</c> as often as they like. By default the stream ends when the
    /// last sender closes it, as a pipe does.
    /// </summary>
    public bool KeepOpen { get; init; }

    /// <summary>
    /// For a sender: the time, after it was completed or disposed, during which it still writes the rest of a message
    /// that did not fit (a process that exits waits for it), and still notifies a receiver that was not there yet of
    /// the end. 0 to 1 hour; default 5 s.
    /// </summary>
    public TimeSpan Linger { get; init; } = TimeSpan.FromSeconds(5);

    internal void Validate()
    {
        if (Framing is { } framing && !Enum.IsDefined(framing))
            throw new ArgumentOutOfRangeException(nameof(Framing), $"no such framing: {(int)framing}");
        if (MaxMessageBytes is < 1 or > MostMessageBytes)
            throw new ArgumentOutOfRangeException(nameof(MaxMessageBytes),
                $"max message bytes must be 1 to {MostMessageBytes:N0}: {MaxMessageBytes:N0}");
        if (PipeBytes is < Pipe.PageBytes or > 1 << 30)
            throw new ArgumentOutOfRangeException(nameof(PipeBytes),
                $"pipe bytes must be {Pipe.PageBytes:N0} to {1 << 30:N0}: {PipeBytes:N0}");
        if (Linger < TimeSpan.Zero || Linger > TimeSpan.FromHours(1))
            throw new ArgumentOutOfRangeException(nameof(Linger), $"linger must be 0 to 1 hour: {Linger}");
    }
}
