using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;

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

    /// <summary>Fills shared memory with large messages, and goes on once they are done.</summary>
    public static int Queue()
    {
        var transport = new MmapTransport();
        using WorkQueue queue = transport.OpenQueue("jobs", new MmapQueueOptions { Slots = 64, SlotBytes = 64 });
        int sent = 0;
        Refused("message", () =>
        {
            while (queue.TrySend(new byte[1 << 20])) sent++;
        });
        FillUp();
        Refused("queue", () => transport.OpenQueue("more").Dispose());
        Refused("stream", () => transport.OpenSender("more").Dispose());
        Refused("topic", () => transport.OpenPublisher("more").Dispose());
        Refused("store", () => transport.OpenStore("more"));
        int done = 0;
        while (queue.TryLease(out WorkLease lease))
        {
            if (lease.Payload.Length == 1 << 20 && lease.Complete()) done++;
        }

        PeerConsole.WriteLine($"done {done} of {sent}");
        // The blocks are kept for the next message, until somebody else needs the room.
        while (true)
        {
            try
            {
                using WorkQueue more = transport.OpenQueue("more");
                if (!more.TrySend(new byte[1 << 20])) return 1;
                PeerConsole.WriteLine("recovered");
                return more.TryLease(out WorkLease lease) && lease.Complete() ? 0 : 1;
            }
            catch (IOException)
            {
                Thread.Sleep(10);
            }
        }
    }

    private static void Refused(string what, Action action)
    {
        try
        {
            action();
        }
        catch (IOException e)
        {
            PeerConsole.WriteLine($"refused {what}: {e.Message}");
        }
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
