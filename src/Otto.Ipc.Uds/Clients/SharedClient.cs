namespace Otto.Ipc.Uds.Clients;

// One connection for all ends of a transport, closed with the last of them: what several publishers of a process say keeps its order.

/// <summary>A client that is disposed when its last user releases it.</summary>
internal sealed class SharedClient(UdsTransportOptions options)
{
    private int _users = 1;

    public UdsClient Client { get; } = new(options);

    public SharedClient Use()
    {
        // Never from zero: whoever uses it holds the transport, or an end.
        for (int users = Volatile.Read(ref _users); ; users = Volatile.Read(ref _users))
        {
            ObjectDisposedException.ThrowIf(users == 0, this);
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users) return this;
        }
    }

    public void Release()
    {
        if (Interlocked.Decrement(ref _users) == 0) _ = Client.CloseGentlyAsync();
    }
}
