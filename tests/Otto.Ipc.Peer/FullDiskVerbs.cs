using Otto.Ipc.Conformance;

namespace Otto.Ipc.Peer;

// A file system without room, of this process's own. What it held before can still be read, and that makes room.

internal static class FullDiskVerbs
{
    /// <summary>NAME: sends until there is no room, and to the last byte; then begins to receive.</summary>
    public static int Stream(string[] arguments)
    {
        int sent = 0;
        using (MessageSender sender = PeerTransport.OpenSender(arguments[0]))
        {
            try
            {
                while (sender.TrySend(Payload.Make(1, sent, 3000))) sent++;
            }
            catch (IOException e)
            {
                PeerConsole.WriteLine($"refused {e.Message}");
            }
        }

        FillUp();
        using MessageReceiver receiver = PeerTransport.OpenReceiver(arguments[0]);
        int received = 0;
        for (; received < sent && receiver.WaitToReceive(TimeSpan.FromSeconds(10)); received++)
        {
            if (!receiver.TryReceive(out ReadLease lease)) break;
            bool whole = Payload.TryRead(lease.Bytes, out _, out int sequence) && sequence == received;
            lease.Dispose();
            if (!whole) break;
        }

        PeerConsole.WriteLine($"received {received} of {sent}");
        return 0;
    }

    /// <summary>Takes what room is left.</summary>
    public static string FillUp()
    {
        string path = Path.Combine(Environment.GetEnvironmentVariable("OTTO_SHM_DIR")!, "ballast");
        using FileStream ballast = new(path, FileMode.Create, FileAccess.Write, FileShare.None, bufferSize: 0);
        byte[] bytes = new byte[1 << 16];
        for (int size = bytes.Length; size > 0; )
        {
            try
            {
                ballast.Write(bytes.AsSpan(0, size));
            }
            catch (IOException)
            {
                size /= 2;
            }
        }

        return path;
    }
}
