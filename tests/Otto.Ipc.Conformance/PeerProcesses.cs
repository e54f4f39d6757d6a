namespace Otto.Ipc.Conformance;

/// <summary>The processes that one test started. One that still runs when the test ends is a leak.</summary>
public sealed class PeerProcesses
{
    private readonly List<PeerProcess> _peers = [];

    public PeerProcess Add(PeerProcess peer)
    {
        lock (_peers) _peers.Add(peer);
        return peer;
    }

    /// <summary>Ends all of them.</summary>
    /// <returns>Those that still ran.</returns>
    public List<string> EndAll()
    {
        List<string> running = [];
        lock (_peers)
        {
            foreach (PeerProcess peer in _peers)
            {
                if (!peer.HasExited) running.Add($"process still running: {peer}");
                peer.Dispose();
            }
        }

        return running;
    }
}
