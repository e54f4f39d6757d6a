namespace Otto.Ipc.Fifo;

// Where one message ends and the next begins: a FIFO itself only carries bytes.

/// <summary>Specifies how messages are separated in a FIFO.</summary>
public enum FifoFraming
{
    /// <summary>A message is a line: what shells write and read. It cannot hold a line
    /// feed; every other byte it can, a carriage return too.</summary>
    Lines,

    /// <summary>A message comes after its length, four bytes, little-endian. It can hold any bytes.</summary>
    LengthPrefixed,
}
