using Otto.Ipc.Platform;

namespace Otto.Ipc.Uds.Server;

/// <summary>The connections of a server, by the numbers of their sockets.</summary>
internal sealed class ConnectionTable(ServerState server, ReadinessPoller poller, Action<Connection> markDirty)
{
    private Connection?[] _connections = new Connection?[256];
    private int _count, _generation;

    /// <summary>How many there are, on any thread.</summary>
    public int Count => Volatile.Read(ref _count);

    /// <summary>The connection that an event is about; <see langword="null"/> if it has been closed.</summary>
    public Connection? Find(long tag) => _connections[(int)(uint)tag] is { } connection && connection.Tag == tag ? connection : null;

    public void Add(UnixSocket socket)
    {
        if (socket.Id >= _connections.Length) Array.Resize(ref _connections, Math.Max(socket.Id + 1, _connections.Length * 2));
        var connection = new Connection(socket, ++_generation & int.MaxValue, server, markDirty) { Watched = PollEvents.Readable };
        _connections[socket.Id] = connection;
        _count++;
        poller.Add(socket.Id, PollEvents.Readable, connection.Tag);
    }

    public void Close(Connection connection)
    {
        if (connection.IsClosed) return;
        connection.IsClosed = true;
        connection.UnsubscribeAll();
        connection.Input.Release(server.Budget);
        connection.Output.Break();
        _connections[connection.Socket.Id] = null;
        _count--;
        connection.Socket.CloseAfterDraining();
    }

    public void CloseAll()
    {
        foreach (Connection? connection in _connections)
        {
            if (connection is not null) Close(connection);
        }
    }
}
