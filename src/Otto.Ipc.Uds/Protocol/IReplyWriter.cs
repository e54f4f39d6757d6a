namespace Otto.Ipc.Uds.Protocol;

/// <summary>Where a protocol writes what one client is going to read, in order.</summary>
internal interface IReplyWriter
{
    /// <summary>Answers that were not read yet.</summary>
    int Answers { get; }

    /// <summary>Whether a value may wait here, beside all that waits for all clients; a small one always may.</summary>
    bool HasRoomFor(long valueBytes);

    /// <summary>Whether so many bytes may wait here, beside all that waits for all clients.</summary>
    bool HasMemoryFor(long bytes);

    /// <summary>
    /// Gets room for some bytes in one piece. The bytes count once <see cref="Advance"/> is called with their number.
    /// </summary>
    Span<byte> Reserve(int bytes);

    /// <summary>Appends what was written into the reserved room.</summary>
    void Advance(int bytes);

    /// <summary>Appends a copy of bytes.</summary>
    void Append(ReadOnlySpan<byte> bytes);

    /// <summary>Appends a value, which is never changed.</summary>
    void AppendValue(byte[] value);

    /// <summary>Marks the end of an answer.</summary>
    void EndAnswer();
}
