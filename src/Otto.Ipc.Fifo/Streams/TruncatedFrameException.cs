namespace Otto.Ipc.Fifo;

// What a receiver throws when a sender went away in the middle of a message.

/// <summary>A stream's sender left or died in the middle of a message. This message was taken out, and the stream may
/// continue.</summary>
public sealed class TruncatedFrameException : IOException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="message">What was cut, and the numbers.</param>
    public TruncatedFrameException(string message) : base(message)
    {
    }

    internal TruncatedFrameException(string message, byte[] received) : base(message) => Received = received;

    /// <summary>The bytes that did arrive, as they lay in the pipe: with the length in
    /// front, where frames have one.</summary>
    public ReadOnlyMemory<byte> Received { get; }
}
