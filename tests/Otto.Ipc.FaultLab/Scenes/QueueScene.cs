using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.FaultLab.Scenes;

// A queue (with small slots: of loans) with a sender and a worker that go on while the victim lies where it
// fell; afterwards the ledger has to add up.

internal sealed class QueueScene(FaultCase fault, bool kill, Random random, bool mustReach, int slotBytes = 256)
    : Scene(fault, kill, random, mustReach)
{
    private const string Name = "jobs", Us = "the others' worker";
    private readonly MessageLedger _ledger = new();
    private readonly StallTimer _sends = new(), _works = new();
    // What is given up keeps its slot.
    private readonly int _slots = mustReach ? 8 : fault.Victim.Contains("give-up", StringComparison.Ordinal) ? 512 : random.Next(6, 65);
    private readonly int _mostBytes = mustReach ? 100 : random.Next(13, 240);
    private WorkQueue? _sender;
    private WorkQueue? _worker;
    private Victim? _victim;
    private volatile bool _sendNoMore, _senderEnded;

    protected override void Play()
    {
        var options = new MmapQueueOptions { Slots = _slots, SlotBytes = slotBytes, MaxAttempts = 10, MaxParticipants = 16 };
        _sender = Workspace.Transport.OpenQueue(Name, options);
        _worker = Workspace.Transport.OpenQueue(Name);
        _worker.SetConsumer(true);
        if (Fault.Victim.StartsWith("queue-letters", StringComparison.Ordinal)) Bury(2);
        OnThread(Send);
        OnThread(Work);
        _victim = new Victim(Workspace, Fault, Kill, Name);
        if (!_victim.AwaitDown(Findings, MustReach))
        {
            _victim.Finish();
            return;
        }

        long down = Stopwatch.GetTimestamp();
        _sends.Watch();
        _works.Watch();
        int sent = _sends.Count, done = _works.Count;
        Soon(() => _sends.Count >= sent + 20 && _works.Count >= done + 20, "the others to go on (I5)");
        if (Kill) AfterDeath();
        else AfterStop(down);
        Judge(_sends.Stop(), "the sender");
        Settle();
        StopOthers();
        _ledger.Check(Findings);
        CheckSlots();
    }

    protected override void Close()
    {
        _victim?.Dispose();
        _sender?.Dispose();
        _worker?.Dispose();
    }

    private void AfterDeath()
    {
        _ledger.Read(_victim!.Lines, "the victim");
        string? intent = _victim.Last("intent"), lease = _victim.Last("lease");
        switch (Fault.Fate)
        {
            case ExpectedOutcome.Done:
                _ledger.Sent(intent!);
                break;
            case ExpectedOutcome.Redelivered:
                // Killed before it could say what it took, the victim leaves that open.
                Soon(() => _ledger.HasRedelivery, "what the victim held to be delivered again (I3)");
                break;
            case ExpectedOutcome.Ended:
                _ledger.Over(lease!);
                break;
        }

        // Whatever else it held comes back by itself, or is swept; both show in the slots at the end.
        Soon(() => !Workspace.Lists(Name, _victim.Id), "somebody to sweep the victim");
        Judge(Stopwatch.GetElapsedTime(_victim.EndedAt), "whoever waits for the sweep");
        if (Fault.Fate == ExpectedOutcome.NeverSeen && _ledger.Leases(intent!) != 0)
            Findings.Add($"I2: {intent} was seen, although it was not committed");
        if (Fault.Fate == ExpectedOutcome.Ended && _ledger.Leases(lease!) != 1)
        {
            Findings.Duplicated++;
            Findings.Add($"I4: {lease} was delivered again after it was completed");
        }
    }

    private void AfterStop(long down)
    {
        WaitOutAPeriod(down);
        bool givesBack = Fault.Victim.Contains("abandon", StringComparison.Ordinal)
            || Fault.Victim.Contains("later", StringComparison.Ordinal);
        if (!givesBack && _ledger.HasRedelivery) Findings.Add("I6: something was delivered again, although nobody died");
        _victim!.Continue();
        _victim.Finish();
    }

    private void Settle()
    {
        _sendNoMore = true;
        if (!Kill)
        {
            // A worker ends when it has nothing to do, a sender when it was told.
            Soon(() => _victim!.HasExited, "the victim to finish");
            _victim!.AwaitEnd(Findings);
            _ledger.Read(_victim.Lines, "the victim");
        }

        // Not before the last of them was noted: the worker is told to end once all that is known is done.
        Soon(() => _senderEnded, "the sender to end");
        Soon(() => _ledger.IsSettled, "every message to be done (I1)");
        Judge(_works.Stop(), "the worker");
    }

    private void Send()
    {
        for (int i = 0; !Stopping && !_sendNoMore; i++)
        {
            string id = $"2:{i}";
            byte[] message = Payload.Make(2, i, Payload.HeaderBytes + i * 7 % _mostBytes);
            // Begun before it is sent, so that a worker that is quicker is not called a liar.
            _ledger.Sent(id);
            while (!_sender!.TrySend(message))
            {
                if (!_sender.WaitToSend(TimeSpan.FromSeconds(30))) throw new TimeoutException("the queue stayed full");
            }

            _sends.Beat();
            if (i >= 20) Thread.Sleep(1); // a trickle, so that two cores suffice for all
        }

        _senderEnded = true;
    }

    private void Work()
    {
        while (!Stopping)
        {
            if (!_worker!.TryLease(out WorkLease lease))
            {
                _worker.WaitToLease(TimeSpan.FromMilliseconds(200));
                continue;
            }

            if (!Payload.TryRead(lease.Payload.Span, out int sender, out int sequence))
                Findings.Add($"I2: a torn message {sender}:{sequence}");
            string id = $"{sender}:{sequence}";
            if (sender == 1 && (Fault.Victim.Contains("delay", StringComparison.Ordinal)
                || Fault.Victim.Contains("cancel", StringComparison.Ordinal))) _ledger.Unordered(id);
            if (sender == 9) _ledger.Unordered(id);
            _ledger.Leased(id, lease.Attempt, Us, Stopwatch.GetTimestamp());
            if (lease.Complete()) _ledger.Done(id, Us, Stopwatch.GetTimestamp());
            else Findings.Add($"I3: {id} was taken away from a live worker");
            _works.Beat();
        }
    }

    private void Bury(int letters)
    {
        for (int i = 0; i < letters; i++)
        {
            _ledger.Sent($"9:{i}");
            _ledger.Over($"9:{i}");
            _sender!.TrySend(Payload.Make(9, i, 40));
            if (_sender.TryLease(out WorkLease lease)) lease.DeadLetter("to be kept");
        }
    }

    /// <summary>Whether every slot can be used, which the counts alone cannot tell.</summary>
    private void CheckSlots()
    {
        foreach (DeadLetter letter in _sender!.GetDeadLetters()) _sender.DeleteDeadLetter(letter.Id);
        while (_sender.TryLease(out WorkLease left)) left.Complete();
        WorkQueueCounts counts = _sender.GetCounts();
        if (counts.Free != _sender.Capacity) Findings.Add($"slots: at the end there are {counts}");
        CheckCapacity(_sender);
    }
}
