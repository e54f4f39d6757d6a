using System.Text;
using Microsoft.Extensions.Logging;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Server;

// Which clients are accepted. A client that is rejected receives the reason before it is closed: it knows
// only the protocol, and reads an error in it.

internal sealed class Acceptor(UnixSocket listener, int maxConnections, RejectedClients rejected, ILogger log) : IDisposable
{
    private const int AtOnce = 64, SpareCount = 8;
    private readonly SpareFiles _spare = new(SpareCount);
    private readonly uint _owner = ProcessIdentity.UserId;

    /// <summary>Where clients come in.</summary>
    public UnixSocket Listener { get; set; } = listener;

    /// <summary>
    /// Whether clients wait that could be neither accepted nor rejected now. They are again when one has gone.
    /// </summary>
    public bool IsPaused { get; private set; }

    /// <summary>Accepts the clients that wait.</summary>
    /// <param name="present">How many are connected.</param>
    /// <param name="enter">Takes over a client's socket.</param>
    public void AcceptWaiting(int present, Action<UnixSocket> enter)
    {
        IsPaused = false;
        for (int i = 0; i < AtOnce; i++)
        {
            if (present >= maxConnections && !rejected.TryMakeRoom(withoutFile: false))
            {
                IsPaused = true;
                return;
            }

            AcceptResult result = Listener.Accept(out UnixSocket client);
            if (result == AcceptResult.OutOfFiles)
            {
                IsPaused = !TryRejectWithoutFiles();
                return;
            }

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

    private void Reject(UnixSocket client, string reason, Action? returnFile = null)
    {
        log.RejectedClient(reason);
        client.Send(Encoding.UTF8.GetBytes($"ERROR: {reason}\n"), out _);
        // A user that may not use the server takes no place from those that may.
        if (returnFile is not null || rejected.TryMakeRoom(withoutFile: false)) rejected.Add(client, returnFile);
        else client.CloseAfterDraining();
    }

    /// <summary>No file is left to accept a client with: one of those that are kept for this serves.</summary>
    private bool TryRejectWithoutFiles()
    {
        if (!_spare.TryRelease() && !(rejected.TryMakeRoom(withoutFile: true) && _spare.TryRelease())) return false;
        if (Listener.Accept(out UnixSocket client) == AcceptResult.Accepted)
            Reject(client, $"{ErrorCode.Busy} the server has no descriptors left; raise its limit of open files", _spare.Restore);
        else _spare.Restore();
        return true;
    }
}
