using Otto.Ipc.Conformance;
using Otto.Ipc.Fifo;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

// The ends of a FIFO in another process, to be killed or stopped wherever they are.

internal static class FifoVerbs
{
    /// <summary>NAME LIMIT SENDER COUNT BYTES: sends COUNT numbered messages of BYTES each,
    /// then ends at once, whatever was not written yet.</summary>
    public static int Send(string[] arguments)
    {
        int limit = Number(arguments[1]), me = Number(arguments[2]), count = Number(arguments[3]), bytes = Number(arguments[4]);
        using MessageSender sender = new FifoTransport().OpenSender(arguments[0], Options(limit));
        PeerConsole.WriteLine("ready");
        for (int i = 0; i < count; i++)
        {
            byte[] message = Payload.Make(me, i, bytes);
            while (!sender.TrySend(message)) sender.WaitToSend(bytes, Timeout.InfiniteTimeSpan);
            PeerConsole.WriteLine($"sent {i}");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME LIMIT block|async [HOLD]: receives until the stream ends, saying what it got before it
    /// counts it as read, and that it did; keeps message HOLD in its hand until it is told to finish.</summary>
    public static int Receive(string[] arguments)
    {
        using MessageReceiver receiver = new FifoTransport().OpenReceiver(arguments[0], Options(Number(arguments[1])));
        PeerConsole.WriteLine("ready");
        int hold = arguments.Length > 3 ? Number(arguments[3]) : -1;
        bool async = arguments[2] == "async";
        while (async ? receiver.WaitToReceiveAsync().AsTask().GetAwaiter().GetResult() : receiver.WaitToReceive(Timeout.InfiniteTimeSpan))
        {
            if (!receiver.TryReceive(out ReadLease lease)) continue;
            PeerConsole.WriteLine(Payload.TryRead(lease.Bytes, out int sender, out int sequence) ? $"got {sender} {sequence}"
                : $"torn {sender} {sequence}");
            if (sequence == hold) PeerConsole.WaitForFinish();
            lease.Dispose();
            PeerConsole.WriteLine($"read {sequence}");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    private static FifoStreamOptions Options(int limit) => new() { Framing = FifoFraming.LengthPrefixed, MaxMessageBytes = limit };

    private static int Number(string text) => int.Parse(text, InvariantCulture);
}
