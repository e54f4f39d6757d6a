namespace Otto.Ipc.Uds.Server;

/// <summary>Connections that have something to do though nothing comes from their clients.</summary>
internal sealed class PendingConnections
{
    /// <summary>Those with output that is to be sent before the server sleeps.</summary>
    public List<Connection> Dirty { get; } = [];

    /// <summary>Those that continue with commands they kept.</summary>
    public List<Connection> Ready { get; } = [];

    /// <summary>Those that continue when memory is no longer under pressure.</summary>
    public List<Connection> ShortOfMemory { get; } = [];

    public void MarkDirty(Connection connection)
    {
        if (connection.IsDirty || connection.IsClosed) return;
        connection.IsDirty = true;
        Dirty.Add(connection);
    }

    public void MarkReady(Connection connection)
    {
        if (connection.IsReady) return;
        connection.IsReady = true;
        Ready.Add(connection);
    }

    public void MarkShortOfMemory(Connection connection)
    {
        if (connection.IsShortOfMemory) return;
        connection.IsShortOfMemory = true;
        ShortOfMemory.Add(connection);
    }
}
