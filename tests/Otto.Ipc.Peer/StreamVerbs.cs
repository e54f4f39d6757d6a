using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

internal static class StreamVerbs
{
    private static readonly MmapStreamOptions Options = new() { Capacity = 4096, MaxSenders = 1 };

    /// <summary>NAME FIRST COUNT: sends messages FIRST and up until it is told to finish, at least COUNT of
    /// them. Where COUNT is negative: exactly so many, and completes the stream when it is told.</summary>
    public static int Send(string[] arguments)
    {
        int first = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture);
        bool complete = count < 0;
        count = Math.Abs(count);
        using MessageSender sender = PeerTransport.OpenSender(arguments[0], Options);
        PeerConsole.WriteLine("ready");
        for (int i = first; i < first + count || (!complete && !PeerConsole.IsFinishRequested); i++)
        {
            int bytes = Payload.HeaderBytes + i % 180;
            PeerConsole.WriteLine($"intent {i}");
            while (true)
            {
                if (i % 2 == 0)
                {
                    if (sender.TrySend(Payload.Make(1, i, bytes))) break;
                }
                else if (sender.TryReserve(200, out WriteSlot slot))
                {
                    Payload.Fill(slot.Bytes[..bytes], 1, i);
                    slot.Commit(bytes);
                    break;
                }

                sender.WaitToSend(200, Timeout.InfiniteTimeSpan);
            }

            PeerConsole.WriteLine($"sent {i}");
            if (i >= first + count) Thread.Sleep(1); // a trickle, until the test has seen enough
        }

        if (complete)
        {
            PeerConsole.WaitForFinish();
            sender.Complete();
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME: receives until it is told to finish and the stream is empty, or the stream completes.</summary>
    public static int Receive(string[] arguments)
    {
        using MessageReceiver receiver = PeerTransport.OpenReceiver(arguments[0], Options);
        PeerConsole.WriteLine("ready");
        while (true)
        {
            if (!receiver.TryReceive(out ReadLease lease))
            {
                if (receiver.IsCompleted || PeerConsole.IsFinishRequested) break;
                // Without a time limit, so that a wake-up that gets lost is seen as a stall.
                PeerConsole.RunUntilFinish(stop => receiver.WaitToReceive(Timeout.InfiniteTimeSpan, stop));
                continue;
            }

            PeerConsole.WriteLine(Payload.TryRead(lease.Bytes, out _, out int sequence) ? $"got {sequence}" : $"torn {sequence}");
            lease.Dispose();
            PeerConsole.WriteLine($"read {sequence}");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME: opens the receiving end and stays until it is told to finish.</summary>
    public static int Stay(string[] arguments)
    {
        using (PeerTransport.OpenReceiver(arguments[0]))
        {
            PeerConsole.WriteLine("ready");
            PeerConsole.WaitForFinish();
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }
}
