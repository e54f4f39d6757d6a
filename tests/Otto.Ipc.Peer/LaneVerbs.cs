using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

// A stream that three senders share.

internal static class LaneVerbs
{
    private static readonly MmapStreamOptions Options = new() { Capacity = 4096, MaxSenders = 3 };

    /// <summary>NAME SENDER COUNT: sends COUNT numbered messages and on until it is told to
    /// finish, then completes.</summary>
    public static int Send(string[] arguments)
    {
        int me = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture);
        using MessageSender sender = new MmapTransport().OpenSender(arguments[0], Options);
        Talk.Say("ready");
        for (int i = 0; i < count || !Talk.ToldToFinish; i++)
        {
            byte[] message = Payload.Make(me, i, Payload.HeaderBytes + i % 190);
            Talk.Say($"intent {i}");
            while (!sender.TrySend(message)) sender.WaitToSend(message.Length, Timeout.InfiniteTimeSpan);
            Talk.Say($"sent {i}");
            if (i >= count) Thread.Sleep(1); // a trickle, until the test has seen enough
        }

        sender.Complete();
        Talk.Say("finished");
        return 0;
    }

    /// <summary>NAME: receives until the stream completes.</summary>
    public static int Receive(string[] arguments)
    {
        using MessageReceiver receiver = new MmapTransport().OpenReceiver(arguments[0], Options);
        Talk.Say("ready");
        while (!receiver.IsCompleted)
        {
            while (receiver.TryReceive(out ReadLease lease))
            {
                Talk.Say(Payload.TryRead(lease.Bytes, out int sender, out int sequence) ? $"got {sender} {sequence}"
                    : $"torn {sender} {sequence}");
                lease.Dispose();
            }

            receiver.WaitToReceive(Timeout.InfiniteTimeSpan);
        }

        Talk.Say("finished");
        return 0;
    }
}
