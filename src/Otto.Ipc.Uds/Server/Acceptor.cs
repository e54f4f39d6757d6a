using System.Text;
using Microsoft.Extensions.Logging;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Server;

// Which clients are accepted. A client that is rejected receives the reason before it is closed: it knows
// only the protocol, and reads an error in it.

internal sealed class Acceptor(UnixSocket listener, int maxConnections, ILogger log) : IDisposable
{
    /// <summary>Where clients come in.</summary>
    public UnixSocket Listener { get; set; } = listener;

    private const int AtOnce = 64;
    private readonly SpareFile _spare = new();
    private readonly uint _owner = ProcessIdentity.UserId;

    /// <summary>Accepts the clients that wait.</summary>
    /// <param name="present">How many are connected.</param>
    /// <param name="enter">Takes over a client's socket.</param>
    public void AcceptWaiting(int present, Action<UnixSocket> enter)
    {
        for (int i = 0; i < AtOnce; i++)
        {
            AcceptResult result = Listener.Accept(out UnixSocket client);
            if (result == AcceptResult.OutOfFiles) RejectWithoutFiles();
            if (result != AcceptResult.Accepted) return;
            uint user = client.PeerUser;
            if (user != _owner && user != 0)
            {
                Reject(client, $"{ErrorCode.Denied} uid {user} may not use the server of uid {_owner}");
            }
            else if (present >= maxConnections)
            {
                Reject(client, $"{ErrorCode.Busy} {maxConnections:N0} clients are connected, the most there may be");
            }
            else
            {
                enter(client);
                present++;
            }
        }
    }

    public void Dispose() => _spare.Dispose();

    private void Reject(UnixSocket client, string reason)
    {
        log.RejectedClient(reason);
        client.Send(Encoding.UTF8.GetBytes($"ERROR: {reason}\n"), out _);
        client.CloseAfterDraining();
    }

    /// <summary>No file is left to accept a client with: one that is kept for this is given up for a moment.</summary>
    private void RejectWithoutFiles()
    {
        if (!_spare.TryRelease()) return;
        if (Listener.Accept(out UnixSocket client) == AcceptResult.Accepted)
            Reject(client, $"{ErrorCode.Busy} the server has no descriptors left; raise its limit of open files");
        _spare.Restore();
    }
}
