using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

// A stream that three senders share.

internal static class SharedStreamVerbs
{
    private static readonly MmapStreamOptions Options = new() { Capacity = 4096, MaxSenders = 3 };

    /// <summary>NAME SENDER COUNT: sends COUNT numbered messages and on until it is told to
    /// finish, then completes.</summary>
    public static int Send(string[] arguments)
    {
        int me = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture);
        using MessageSender sender = new MmapTransport().OpenSender(arguments[0], Options);
        PeerConsole.WriteLine("ready");
        for (int i = 0; i < count || !PeerConsole.IsFinishRequested; i++)
        {
            byte[] message = Payload.Make(me, i, Payload.HeaderBytes + i % 190);
            PeerConsole.WriteLine($"intent {i}");
            while (!sender.TrySend(message)) sender.WaitToSend(message.Length, Timeout.InfiniteTimeSpan);
            PeerConsole.WriteLine($"sent {i}");
            if (i >= count) Thread.Sleep(1); // a trickle, until the test has seen enough
        }

        sender.Complete();
        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME: receives until the stream completes.</summary>
    public static int Receive(string[] arguments)
    {
        using MessageReceiver receiver = new MmapTransport().OpenReceiver(arguments[0], Options);
        PeerConsole.WriteLine("ready");
        while (!receiver.IsCompleted)
        {
            while (receiver.TryReceive(out ReadLease lease))
            {
                PeerConsole.WriteLine(Payload.TryRead(lease.Bytes, out int sender, out int sequence) ? $"got {sender} {sequence}"
                    : $"torn {sender} {sequence}");
                lease.Dispose();
            }

            receiver.WaitToReceive(Timeout.InfiniteTimeSpan);
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }
}
