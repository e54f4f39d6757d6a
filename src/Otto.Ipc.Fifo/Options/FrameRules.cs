using Otto.Ipc.Fifo.Platform;

namespace Otto.Ipc.Fifo;

// What every end of a stream agrees on.

/// <param name="Framing">How messages are separated.</param>
/// <param name="MaxMessageBytes">The largest message, its framing not counted.</param>
internal readonly record struct FrameRules(FifoFraming Framing, int MaxMessageBytes)
{
    public const int LengthBytes = 4;

    /// <summary>What framing adds to a message: its length, or the line feed.</summary>
    public int Overhead => Framing == FifoFraming.LengthPrefixed ? LengthBytes : 1;

    /// <summary>The largest frame.</summary>
    public int MaxFrameBytes => MaxMessageBytes + Overhead;

    /// <summary>Whether a frame may be larger than what one write keeps together, so that
    /// every sender takes the lock.</summary>
    public bool NeedsLock => MaxFrameBytes > Pipe.AtomicBytes;

    /// <summary>
    /// The pipe in which the largest frame can lie whole, however the pages before it are filled: a page more than it
    /// fills, since it may begin behind the rest of another frame.
    /// </summary>
    public int NeededPipeBytes => NeedsLock ? ((MaxFrameBytes - 1) / Pipe.PageBytes + 2) * Pipe.PageBytes : Pipe.PageBytes;

    public static FrameRules Of(FifoStreamOptions options) =>
        new(options.Framing ?? FifoFraming.Lines, options.MaxMessageBytes ?? FifoStreamOptions.DefaultMaxMessageBytes);
}
