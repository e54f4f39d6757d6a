namespace Otto.Ipc;

// The message where the subscriber has it; TopicMessage is the one that may be kept.

/// <summary>One message of a topic, in the subscriber's buffer.</summary>
public readonly ref struct TopicFrame
{
    /// <summary>For transports: makes a message.</summary>
    /// <param name="bytes">Its bytes, in memory that does not change until the next call.</param>
    /// <param name="lost">How many of its publisher's messages were lost right before it.</param>
    public TopicFrame(ReadOnlySpan<byte> bytes, long lost)
    {
        Bytes = bytes;
        Lost = lost;
    }

    /// <summary>The message. Valid until the subscriber's next call.</summary>
    public ReadOnlySpan<byte> Bytes { get; }

    /// <summary>
    /// How many messages of the same publisher this subscriber lost right before this one; zero while it keeps up.
    /// </summary>
    public long Lost { get; }
}
