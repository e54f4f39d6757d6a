namespace Otto.Ipc.Uds.Buffers;

/// <summary>Bytes that wait in all connections together.</summary>
internal sealed class MemoryBudget(long most)
{
    // What answers may take of it. The rest is for what cannot be made to wait: half-received commands, events, snapshots.
    private readonly long _pressure = most - most / 4;

    public long Used { get; private set; }

    /// <summary>Whether so much is used that a client with unread answers must read them
    /// before it gets others.</summary>
    public bool IsUnderPressure => Used >= _pressure;

    public bool HasRoomFor(long bytes) => Used + bytes <= most;

    public void Take(long bytes) => Used += bytes;

    public void Give(long bytes) => Used -= bytes;
}
