namespace Otto.Ipc.Uds.Protocol;

/// <summary>The limits of a server, as HELLO reports them.</summary>
/// <param name="ValueBytes">The largest value and the largest message.</param>
/// <param name="TotalBytes">The most bytes of keys and values together.</param>
/// <param name="Connections">The most clients at once.</param>
/// <param name="PipelineDepth">How many answers a client may leave unread.</param>
/// <param name="UnreadBytes">How many bytes of answers a client may leave unread.</param>
/// <param name="Patterns">How many patterns one connection may be subscribed to.</param>
internal sealed record ProtocolLimits(int ValueBytes, long TotalBytes, int Connections, int PipelineDepth, int UnreadBytes, int Patterns);
