using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Mmap.Segments;

namespace Otto.Ipc.Mmap.Tests.Faults;

// One victim, stopped at one instruction, while another sender and another worker go on in processes of their own. Afterwards the
// ledger has to add up. Problems are returned, not asserted, so that a planted bug can be expected to make some.

/// <summary>What must become of the message that the victim was at.</summary>
public enum Fate
{
    /// <summary>The victim was at no message in particular.</summary>
    None,

    /// <summary>It had not begun to commit: nobody may ever see it.</summary>
    NeverSeen,

    /// <summary>It was committed: it is done, once.</summary>
    Done,

    /// <summary>It was held: another worker gets it, with attempt 2.</summary>
    Redelivered,

    /// <summary>It was completed: nobody gets it again.</summary>
    Ended,
}

/// <summary>Where a victim is stopped.</summary>
/// <param name="Point">The fault point.</param>
/// <param name="Hit">The how manieth time.</param>
/// <param name="Victim">What the victim does; words for Otto.Ipc.Peer, with the queue's name left out.</param>
/// <param name="Fate">What must become of its message if it is killed there.</param>
public sealed record FaultCase(string Point, int Hit, string Victim, Fate Fate)
{
    public override string ToString() => $"{Victim.Replace(' ', '_')} at {Point} {Hit}";
}

internal sealed class QueueScenario(TestPlace place)
{
    public const string Name = "jobs";
    public const int Slots = 8;

    /// <summary>Recovery ends within two seconds; the rest is for a machine that has other things to do.</summary>
    public static readonly TimeSpan Recovery = TimeSpan.FromSeconds(2), Slack = TimeSpan.FromSeconds(1.5);

    private readonly List<string> _problems = [];

    /// <summary>A bug for everybody but the victim.</summary>
    public string? Plant { get; init; }

    /// <summary>How long to wait for what a planted bug keeps from happening.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(20);

    public static MmapQueueOptions Options => new() { Slots = Slots, SlotBytes = 256, MaxAttempts = 10, MaxParticipants = 16 };

    public IReadOnlyList<string> Run(FaultCase fault, bool kill)
    {
        place.Transport.OpenQueue(Name, Options).Dispose();
        (string, string)[] plant = Plant is null ? [] : [("OTTO_FAULT_PLANT", Plant), ("OTTO_FAULT_AT", "nowhere")];
        PeerProcess sender = place.StartWith(plant, "queue-send", Name, "2", "30"), worker = place.StartWith(plant, "queue-work", Name);
        string[] words = fault.Victim.Split(' ');
        string at = string.Create(CultureInfo.InvariantCulture, $"{fault.Point}:{fault.Hit}:{(kill ? "KILL" : "STOP")}");
        PeerProcess victim = place.StartWith([("OTTO_FAULT_AT", at)], [words[0], Name, .. words[1..]]);
        PeerProcess[] all = [sender, worker, victim];
        try
        {
            sender.WaitFor("ready");
            worker.WaitFor("ready");
            if (!Soon(() => kill ? victim.HasExited : victim.IsStopped, $"the victim to reach {at}")) return _problems;
            long down = Stopwatch.GetTimestamp();
            GoOn(sender, worker);
            if (kill)
            {
                if (victim.WaitForExit() != 137) _problems.Add($"the victim ended with {victim.WaitForExit()}: {victim.Errors}");
                if (fault.Fate == Fate.Redelivered) AwaitRedelivery(victim, all);
                Soon(() => !IsListed(victim.Id), "somebody to sweep the victim");
                if (Stopwatch.GetElapsedTime(victim.EndedAt) is var took && took > Recovery + Slack) _problems.Add($"I10: the victim was swept after {took}");
            }
            else
            {
                // Longer than a housekeeper's period: nobody may take it for dead.
                Soon(() => Stopwatch.GetElapsedTime(down) > TimeSpan.FromSeconds(1.3), "time");
                if (!fault.Victim.Contains("abandon", StringComparison.Ordinal) && !fault.Victim.Contains("later", StringComparison.Ordinal) && Ledger(all).FirstRedelivery() is not null)
                    _problems.Add("I6: something was delivered again, although nobody died");
                victim.Signal(18);
            }

            Finish(fault, kill, victim, sender, worker);
            Judge(fault, kill, victim, Ledger(all), down, [sender, worker]);
            CheckSlots();
            return _problems;
        }
        finally
        {
            foreach (PeerProcess peer in all) peer.Dispose();
        }
    }

    public static QueueLedger Ledger(params ReadOnlySpan<PeerProcess> peers)
    {
        var ledger = new QueueLedger();
        foreach (PeerProcess peer in peers) ledger.Add(peer);
        return ledger;
    }

    /// <summary>Whether every slot can be used, which the counts alone cannot tell.</summary>
    public IReadOnlyList<string> CheckSlots()
    {
        using IWorkQueue queue = place.Transport.OpenQueue(Name);
        foreach (DeadLetter letter in queue.GetDeadLetters()) queue.Drop(letter.Id);
        WorkQueueCounts counts = queue.GetCounts();
        if (counts.Free != queue.Capacity) _problems.Add($"slots: at the end there are {counts}");
        int sent = 0, done = 0;
        while (sent <= queue.Capacity && queue.TrySend([1])) sent++;
        while (queue.TryLease(out WorkLease lease) && lease.Complete()) done++;
        if (sent != queue.Capacity || done != sent) _problems.Add($"slots: of {queue.Capacity} slots {sent} could be filled and {done} emptied");
        return _problems;
    }

    private void GoOn(PeerProcess sender, PeerProcess worker)
    {
        int sent = Count(sender, "sent"), done = Count(worker, "done");
        Soon(() => Count(sender, "sent") >= sent + 20 && Count(worker, "done") >= done + 20, "the others to go on (I5)");
    }

    /// <summary>Whether an entry of the segment still says that this process is attached.</summary>
    private bool IsListed(int pid)
    {
        byte[] entries = new byte[Options.MaxParticipants * SegmentLayout.ParticipantBytes];
        using var file = new FileStream(place.PathOf(Name, SegmentShape.Queue), FileMode.Open, FileAccess.Read, FileShare.ReadWrite, bufferSize: 0);
        file.Position = SegmentLayout.ParticipantsOffset;
        file.ReadExactly(entries);
        for (int at = 0; at < entries.Length; at += SegmentLayout.ParticipantBytes)
        {
            if (entries[at] == 1 && BitConverter.ToInt32(entries, at + 8) == pid) return true;
        }

        return false;
    }

    private void AwaitRedelivery(PeerProcess victim, PeerProcess[] all)
    {
        if (!Soon(() => Ledger(all).FirstRedelivery() is not null, "what the victim held to be delivered again (I3)")) return;
        TimeSpan took = Stopwatch.GetElapsedTime(victim.EndedAt, Ledger(all).FirstRedelivery()!.Value);
        if (took > Recovery + Slack) _problems.Add($"I10: redelivery took {took}");
    }

    private void Finish(FaultCase fault, bool kill, PeerProcess victim, PeerProcess sender, PeerProcess worker)
    {
        bool works = fault.Victim.StartsWith("queue-work", StringComparison.Ordinal);
        sender.Say("finish");
        if (!works) victim.Say("finish");
        if (!Soon(() => sender.HasExited, "the sender to finish")) return;
        if (!works && !Soon(() => victim.HasExited, "the victim to finish")) return;
        string? ended = kill && fault.Fate == Fate.Ended ? QueueLedger.Last(victim, "lease") : null;
        string? committed = kill && fault.Fate == Fate.Done ? QueueLedger.Last(victim, "intent") : null;
        Soon(
            () =>
            {
                QueueLedger ledger = Ledger(victim, sender, worker);
                if (ended is not null) ledger.AddOver(ended);
                if (committed is not null) ledger.AddSent(committed);
                return ledger.IsSettled;
            },
            "every message to be done (I1)");
        worker.Say("finish");
        if (works) victim.Say("finish");
        foreach (PeerProcess peer in kill ? [sender, worker] : new[] { sender, worker, victim })
        {
            if (Soon(() => peer.HasExited, $"{peer} to finish") && peer.WaitForExit() != 0) _problems.Add($"{peer} ended with {peer.WaitForExit()}: {peer.Errors}");
        }
    }

    private void Judge(FaultCase fault, bool kill, PeerProcess victim, QueueLedger ledger, long down, PeerProcess[] others)
    {
        if (kill)
        {
            string? intent = QueueLedger.Last(victim, "intent"), lease = QueueLedger.Last(victim, "lease");
            if (fault.Fate == Fate.NeverSeen && ledger.Leases(intent!) != 0) _problems.Add($"I2: {intent} was seen, although it was not committed");
            if (fault.Fate == Fate.Done) ledger.AddSent(intent!);
            if (fault.Fate == Fate.Ended)
            {
                ledger.AddOver(lease!);
                if (ledger.Leases(lease!) != 1) _problems.Add($"I4: {lease} was delivered again after it was completed");
            }
        }

        _problems.AddRange(ledger.Check());
        foreach (PeerProcess peer in others)
        {
            TimeSpan silence = QueueLedger.LongestSilence(peer, down);
            if (silence > Recovery + Slack) _problems.Add($"I5: {peer} could do nothing for {silence}");
        }
    }

    private bool Soon(Func<bool> condition, string what)
    {
        long start = Stopwatch.GetTimestamp();
        while (!condition())
        {
            if (Stopwatch.GetElapsedTime(start) > Patience)
            {
                _problems.Add($"waited {Patience.TotalSeconds} s for {what}");
                return false;
            }

            Thread.Sleep(5);
        }

        return true;
    }

    private static int Count(PeerProcess peer, string verb) => peer.Lines.Count(line => line.StartsWith(verb + " ", StringComparison.Ordinal));
}
