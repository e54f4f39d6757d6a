using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;
using static System.Globalization.CultureInfo;

namespace Otto.Ipc.Peer;

internal static class QueueVerbs
{
    /// <summary>NAME SENDER COUNT MODE: sends COUNT messages, and more until it is told to
    /// finish. MODE: send, loan (far over the slot), reserve, abort (every other slot),
    /// delay or cancel (every other one, for later or at once).</summary>
    public static int Send(string[] arguments)
    {
        int sender = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture);
        string mode = arguments.Length > 3 ? arguments[3] : "send";
        using WorkQueue queue = PeerTransport.OpenQueue(arguments[0]);
        PeerConsole.WriteLine("ready");
        for (int i = 0; i < count || !PeerConsole.IsFinishRequested; i++)
        {
            int bytes = Payload.HeaderBytes + i * 7 % 100 + (mode == "loan" ? 20_000 : 0);
            bool abort = mode == "abort" && i % 2 == 0;
            PeerConsole.WriteLine(abort ? $"abort {sender}:{i}" : $"intent {sender}:{i}");
            if (mode is "delay" or "cancel") PeerConsole.WriteLine($"delayed {sender}:{i}");
            WorkId id = default;
            while (!(mode switch
            {
                "send" or "loan" => queue.TrySend(Payload.Make(sender, i, bytes)),
                "delay" or "cancel" =>
                    queue.TrySend(Payload.Make(sender, i, bytes), TimeSpan.FromMilliseconds(mode == "delay" ? 1 + i % 3 : i % 4 / 2),
                        out id),
                _ => TryInPlace(queue, sender, i, bytes, abort),
            })) queue.WaitToSend(Timeout.InfiniteTimeSpan);
            if (!abort) PeerConsole.WriteLine($"sent {sender}:{i}");
            if (mode == "cancel" && i % 2 == 0)
            {
                PeerConsole.WriteLine($"drop {sender}:{i}");
                if (queue.Cancel(id)) PeerConsole.WriteLine($"dropped {sender}:{i}");
            }

            if (i >= 20) Thread.Sleep(1); // a trickle, so that two cores suffice for all
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME MODE: works until told to finish and the queue is empty. MODE: complete,
    /// abandon or later (first attempts), give-up (every fourth), async.</summary>
    public static int Work(string[] arguments)
    {
        string mode = arguments.Length > 1 ? arguments[1] : "complete";
        using WorkQueue queue = PeerTransport.OpenQueue(arguments[0]);
        queue.SetConsumer(true);
        PeerConsole.WriteLine("ready");
        int count = 0;
        while (true)
        {
            if (!queue.TryLease(out WorkLease lease))
            {
                if (PeerConsole.IsFinishRequested) break;
                // Without a time limit, so that a wake-up that gets lost is seen as a stall.
                if (mode == "async") PeerConsole.RunUntilFinish(stop => queue.WaitToLeaseAsync(stop).AsTask().GetAwaiter().GetResult());
                else PeerConsole.RunUntilFinish(stop => queue.WaitToLease(Timeout.InfiniteTimeSpan, stop));
                continue;
            }

            bool whole = Payload.TryRead(lease.Payload.Span, out int sender, out int sequence);
            PeerConsole.WriteLine($"{(whole ? "lease" : "torn")} {sender}:{sequence} {lease.Attempt}");
            using RetainedPayload? hold = mode == "hold" ? lease.Retain() : null;
            if (mode == "abandon" && lease.Attempt == 1)
                PeerConsole.WriteLine($"{(lease.Abandon() ? "abandoned" : "lost")} {sender}:{sequence}");
            else if (mode == "later" && lease.Attempt == 1)
                PeerConsole.WriteLine(
                    $"{(lease.Abandon(countAttempt: true, TimeSpan.FromMilliseconds(1)) ? "abandoned" : "lost")} {sender}:{sequence}");
            else if (mode == "give-up" && ++count % 4 == 0)
                PeerConsole.WriteLine($"{(lease.DeadLetter("fault test") ? "dead" : "lost")} {sender}:{sequence}");
            else PeerConsole.WriteLine($"{(lease.Complete() ? "done" : "lost")} {sender}:{sequence}");
            if (hold is not null && !Payload.TryRead(hold.Payload.Span, out _, out _)) PeerConsole.WriteLine($"torn {sender}:{sequence}");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME SHARE MILLISECONDS: gives every message up until told to finish, in a queue that keeps so many
    /// dead letters for so long.</summary>
    public static int Bury(string[] arguments)
    {
        using WorkQueue queue = new MmapTransport().OpenQueue(arguments[0], new()
        {
            MaxDeadLetters = int.Parse(arguments[1], InvariantCulture),
            DeadLetterRetention = TimeSpan.FromMilliseconds(int.Parse(arguments[2], InvariantCulture)),
        });
        queue.SetConsumer(true);
        PeerConsole.WriteLine("ready");
        while (!PeerConsole.IsFinishRequested)
        {
            if (!queue.TryLease(out WorkLease lease)) queue.WaitToLease(TimeSpan.FromMilliseconds(20));
            else PeerConsole.WriteLine(lease.DeadLetter("fault test") ? "dead" : "lost");
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME: borrows three blocks and holds them until it is told to finish.</summary>
    public static int Borrow(string[] arguments)
    {
        using WorkQueue queue = PeerTransport.OpenQueue(arguments[0]);
        Loan[] loans = new Loan[3];
        foreach (ref Loan loan in loans.AsSpan()) queue.TryLoan(10_000, out loan);
        PeerConsole.WriteLine("holding");
        PeerConsole.WaitForFinish();
        foreach (Loan loan in loans) loan.Dispose();
        return 0;
    }

    /// <summary>NAME COUNT: leases COUNT messages and holds them until it is told to
    /// finish; completes them then.</summary>
    public static int Hold(string[] arguments)
    {
        int count = int.Parse(arguments[1], InvariantCulture);
        using WorkQueue queue = PeerTransport.OpenQueue(arguments[0]);
        PeerConsole.WriteLine("ready");
        var held = new List<(WorkLease Lease, string Id)>();
        while (held.Count < count)
        {
            if (!queue.TryLease(out WorkLease lease))
            {
                queue.WaitToLease(Timeout.InfiniteTimeSpan);
                continue;
            }

            bool whole = Payload.TryRead(lease.Payload.Span, out int sender, out int sequence);
            PeerConsole.WriteLine($"{(whole ? "lease" : "torn")} {sender}:{sequence} {lease.Attempt}");
            held.Add((lease, $"{sender}:{sequence}"));
        }

        PeerConsole.WriteLine("holding");
        PeerConsole.WaitForFinish();
        foreach ((WorkLease lease, string id) in held) PeerConsole.WriteLine($"{(lease.Complete() ? "done" : "lost")} {id}");
        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME SENDER COUNT: keeps messages for itself and completes each.</summary>
    public static int Keep(string[] arguments)
    {
        int sender = int.Parse(arguments[1], InvariantCulture), count = int.Parse(arguments[2], InvariantCulture);
        using WorkQueue queue = PeerTransport.OpenQueue(arguments[0]);
        PeerConsole.WriteLine("ready");
        for (int i = 0; i < count || !PeerConsole.IsFinishRequested; i++)
        {
            PeerConsole.WriteLine($"intent {sender}:{i}");
            WorkLease lease;
            while (!queue.TrySendAndLease(Payload.Make(sender, i, 50), out lease)) queue.WaitToSend(Timeout.InfiniteTimeSpan);
            PeerConsole.WriteLine($"sent {sender}:{i}");
            PeerConsole.WriteLine($"lease {sender}:{i} {lease.Attempt}");
            PeerConsole.WriteLine($"{(lease.Complete() ? "done" : "lost")} {sender}:{i}");
            if (i >= 20) Thread.Sleep(1);
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME: requeues and drops dead letters by turns, until told to finish.</summary>
    public static int Letters(string[] arguments)
    {
        using WorkQueue queue = PeerTransport.OpenQueue(arguments[0]);
        PeerConsole.WriteLine("ready");
        int count = 0;
        while (!PeerConsole.IsFinishRequested)
        {
            foreach (DeadLetter letter in queue.GetDeadLetters())
            {
                Payload.TryRead(letter.Payload.Span, out int sender, out int sequence);
                if (count++ % 2 == 0)
                {
                    PeerConsole.WriteLine($"requeue {sender}:{sequence}");
                    if (queue.RequeueDeadLetter(letter.Id)) PeerConsole.WriteLine($"requeued {sender}:{sequence}");
                }
                else
                {
                    PeerConsole.WriteLine($"drop {sender}:{sequence}");
                    if (queue.DeleteDeadLetter(letter.Id)) PeerConsole.WriteLine($"dropped {sender}:{sequence}");
                }
            }

            Thread.Sleep(1);
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    /// <summary>NAME: opens the queue, says how many others work, and stays until it is told to finish.</summary>
    public static int Stay(string[] arguments)
    {
        using (WorkQueue queue = PeerTransport.OpenQueue(arguments[0]))
        {
            if (arguments.Contains("worker")) queue.SetConsumer(true);
            PeerConsole.WriteLine("ready");
            PeerConsole.WaitForFinish();
        }

        PeerConsole.WriteLine("finished");
        return 0;
    }

    private static bool TryInPlace(WorkQueue queue, int sender, int sequence, int bytes, bool abort)
    {
        if (!queue.TryReserve(bytes, out WriteSlot slot)) return false;
        Payload.Fill(slot.Bytes, sender, sequence);
        if (abort) slot.Dispose();
        else slot.Commit(bytes);
        return true;
    }
}
