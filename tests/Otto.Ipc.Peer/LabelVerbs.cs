using Otto.Ipc.Conformance;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

// Messages with ids and keys, results, and messages that are passed over. Who sends and what is told from its number alone.

internal static class LabelVerbs
{
    /// <summary>NAME SENDER COUNT MODE: sends messages, each with one of three keys, and more until told to finish.
    /// MODE: send, delay, keep or cancel.</summary>
    public static int Send(string[] arguments)
    {
        int sender = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture);
        string mode = arguments[3];
        using var queue = (LabelledWorkQueue)PeerTransport.OpenQueue(arguments[0]);
        PeerConsole.WriteLine("ready");
        for (int i = 0; i < count || !PeerConsole.IsFinishRequested; i++)
        {
            PeerConsole.WriteLine($"intent {sender}:{i}");
            WorkLease lease = default;
            byte[] message = Payload.Make(sender, i, Payload.HeaderBytes + i * 37 % 400);
            LabelledSendResult result = mode == "keep"
                ? queue.TrySendAndLease(message, LabelledMessage.Labels(sender, i), null, out lease)
                : queue.TrySend(message, LabelledMessage.Labels(sender, i), TimeSpan.FromMilliseconds(mode == "delay" ? 2 : 0), null);
            if (result.Status == LabelledSendStatus.KeyTaken)
                PeerConsole.WriteLine($"refused {(int)(result.Existing >> 64)}:{(int)(ulong)result.Existing - 1}");
            if (result.Status == LabelledSendStatus.Sent)
            {
                PeerConsole.WriteLine($"sent {sender}:{i}");
                if (mode == "keep")
                {
                    PeerConsole.WriteLine($"lease {sender}:{i} {lease.Attempt}");
                    Complete(lease);
                }

                if (mode == "cancel" && i % 2 == 0 && queue.Find(LabelledMessage.Id(sender, i), out WorkId id) == MessageState.Waiting)
                    queue.Cancel(id);
            }

            Thread.Sleep(1); // Others want the keys too.
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME MODE: works until told to finish. MODE: complete, pass (leaves each to others), take (only what
    /// others leave).</summary>
    public static int Work(string[] arguments)
    {
        using var queue = (LabelledWorkQueue)PeerTransport.OpenQueue(arguments[0]);
        if (arguments[1] == "take") queue.SetSubjects([LabelledMessage.Subject]);
        queue.SetConsumer(true);
        PeerConsole.WriteLine("ready");
        while (true)
        {
            if (!queue.TryLease(out WorkLease lease))
            {
                if (PeerConsole.IsFinishRequested) break;
                PeerConsole.RunUntilFinish(stop => queue.WaitToLease(Timeout.InfiniteTimeSpan, stop));
                continue;
            }

            Payload.TryRead(lease.Payload.Span, out int sender, out int sequence);
            PeerConsole.WriteLine($"lease {sender}:{sequence} {lease.Attempt}");
            if (arguments[1] == "pass") lease.PassOver(LabelledMessage.Subject);
            else Complete(lease);
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    private static void Complete(WorkLease lease)
    {
        bool whole = Payload.TryRead(lease.Payload.Span, out int sender, out int sequence);
        if (!whole) PeerConsole.WriteLine($"torn {sender}:{sequence}");
        PeerConsole.WriteLine($"{(lease.Complete(LabelledMessage.Result(sender, sequence)) ? "done" : "lost")} {sender}:{sequence}");
    }
}
