using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.PubSub;

/// <summary>Where a subscriber's events go.</summary>
internal interface ISubscriberSink
{
    /// <summary>Bytes that were written and not yet taken.</summary>
    long Unsent { get; }

    /// <summary>Whether a value may wait here, beside all that waits for all clients.</summary>
    bool HasRoomFor(long valueBytes);

    /// <summary>Writes an event.</summary>
    void WriteEvent(EventKind kind, byte[] name, Value? value, long sequence);

    /// <summary>Writes how many messages were lost.</summary>
    void WriteLost(long count, long sequence);

    /// <summary>Has taken what can be taken now.</summary>
    void Flush();

    /// <summary>Has what was written, and what waits in the subscriber, sent soon.</summary>
    void MarkDirty();
}
