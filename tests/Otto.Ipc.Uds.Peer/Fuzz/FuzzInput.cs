namespace Otto.Ipc.Uds.Peer.Fuzz;

/// <summary>How a client ends.</summary>
internal enum ConnectionEnding
{
    /// <summary>It closes its sending side, reads to the end, and must find one.</summary>
    Reads,

    /// <summary>It closes everything without reading.</summary>
    Leaves,

    /// <summary>It reads a little, then closes.</summary>
    ReadsALittle,

    /// <summary>It stays for a while, and neither sends nor reads.</summary>
    Stays,
}

/// <summary>What one client sends, in how many pieces, and what must come of it.</summary>
internal sealed record FuzzInput(string Kind, byte[] Bytes, ConnectionEnding Ending)
{
    /// <summary>How many bytes each write has at most.</summary>
    public int Piece { get; init; } = int.MaxValue;

    /// <summary>How many answers it gets, each a line; -1 where that is not known.</summary>
    public int Lines { get; init; } = -1;

    /// <summary>How many answers it gets, each a frame; -1 where that is not known.</summary>
    public int Frames { get; init; } = -1;
}
