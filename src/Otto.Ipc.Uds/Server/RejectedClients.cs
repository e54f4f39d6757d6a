using System.Diagnostics;
using Otto.Ipc.Platform;
using Otto.Ipc.Uds.Timers;

namespace Otto.Ipc.Uds.Server;

// A client that is rejected has usually not sent its command yet. A socket that is closed before that makes the send fail, and its program
// ends without reading why. So the socket stays open until the client has gone, or for a second; there are few such places, and clients
// beyond wait where the kernel keeps them.

/// <summary>The clients that were sent the reason for their rejection, and have not gone yet.</summary>
internal sealed class RejectedClients(ReadinessPoller poller) : IDisposable
{
    /// <summary>How many may stay at once.</summary>
    public const int Most = 64;

    private const long FirstTag = -1000;
    private static readonly TimeSpan s_longest = TimeSpan.FromSeconds(1);
    private readonly List<Entry> _entries = []; // The oldest first.

    /// <summary>Whether the event of this tag is about a rejected client.</summary>
    public static bool IsTag(long tag) => tag <= FirstTag;

    /// <summary>
    /// Makes room for one more: one that has sent something can read its answer after the socket is closed.
    /// </summary>
    /// <param name="withoutFile">Only one that was accepted with a spare file makes room.</param>
    /// <returns><see langword="false"/> if the next client has to wait.</returns>
    public bool TryMakeRoom(bool withoutFile)
    {
        if (!withoutFile && _entries.Count < Most) return true;
        int spoken = _entries.FindIndex(entry => entry.HasSent && (entry.ReturnFile is not null || !withoutFile));
        if (spoken < 0) return false;
        Close(spoken);
        return true;
    }

    /// <summary>Keeps a client that was sent the reason.</summary>
    /// <param name="client">Its socket.</param>
    /// <param name="returnFile">Called when the socket has been closed.</param>
    public void Add(UnixSocket client, Action? returnFile)
    {
        client.EndSending();
        _entries.Add(new Entry(client, Stopwatch.GetTimestamp() + TimeStamps.Ticks(s_longest), returnFile));
        try
        {
            poller.Add(client.Id, PollEvents.Readable, FirstTag - client.Id);
        }
        catch (IOException)
        {
            Close(_entries.Count - 1);
        }
    }

    /// <summary>Reads and drops what a client sent; closes the socket if the client has gone.</summary>
    public void Serve(long tag)
    {
        int at = _entries.FindIndex(entry => FirstTag - entry.Socket.Id == tag);
        if (at < 0) return;
        if (_entries[at].Socket.DropInput() == SocketResult.Ended) Close(at);
        else _entries[at].HasSent = true;
    }

    /// <summary>Closes the sockets of those that have stayed for long enough.</summary>
    public void CloseDue(long now)
    {
        while (_entries.Count > 0 && _entries[0].Until <= now) Close(0);
    }

    /// <summary>How long it is until a socket is closed, in milliseconds; -1 if there is none.</summary>
    public int MillisecondsUntilDue(long now) => _entries.Count == 0 ? -1 : TimeStamps.MillisecondsUntil(_entries[0].Until, now);

    public void Dispose()
    {
        while (_entries.Count > 0) Close(0);
    }

    private void Close(int at)
    {
        Entry entry = _entries[at];
        _entries.RemoveAt(at);
        entry.Socket.CloseAfterDraining();
        entry.ReturnFile?.Invoke();
    }

    private sealed class Entry(UnixSocket socket, long until, Action? returnFile)
    {
        public UnixSocket Socket { get; } = socket;

        public long Until { get; } = until;

        public Action? ReturnFile { get; } = returnFile;

        public bool HasSent { get; set; }
    }
}
