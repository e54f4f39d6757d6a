using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.FaultLab.Scenes;

// A queue whose messages are all given up, with a small share and a short time for dead letters, while the victim stays where it fell.
// Senders always find room, the share is kept, each letter is counted, and in the end every one is gone and every slot is free.

internal sealed class DeadLetterScene(FaultCase fault, bool kill, Random random, bool mustReach) : Scene(fault, kill, random, mustReach)
{
    public const string Bury = "queue-bury 8 700";

    private const string Name = "jobs";
    private const int Share = 8, Retention = 700, Alone = 30;
    private readonly StallTimer _sends = new(), _works = new();
    private WorkQueue? _sender, _worker;
    private Victim? _victim;
    private volatile bool _sendNoMore, _senderEnded;
    private int _buried;

    protected override void Play()
    {
        MmapQueueOptions options = new()
        {
            Slots = 64, SlotBytes = 64, MaxAttempts = 10, MaxParticipants = 16, MaxDeadLetters = Share,
            DeadLetterRetention = TimeSpan.FromMilliseconds(Retention),
        };
        // What the victim gives up alone: nobody else looks for what is over its time until it is down.
        using (WorkQueue first = Workspace.Transport.OpenQueue(Name, options))
            for (int i = 0; i < Alone; i++) first.TrySend(Payload.Make(1, i, 40));
        _victim = new Victim(Workspace, Fault, Kill, Name);
        bool isDown = _victim.AwaitDown(Findings, MustReach);
        _sender = Workspace.Transport.OpenQueue(Name, options);
        OnThread(Send);
        _worker = Workspace.Transport.OpenQueue(Name, options);
        _worker.SetConsumer(true);
        OnThread(Work);
        if (!isDown)
        {
            _victim.Finish();
            return;
        }

        long down = Stopwatch.GetTimestamp();
        _sends.Watch();
        _works.Watch();
        int sent = _sends.Count, buried = _works.Count;
        Soon(() => _sends.Count >= sent + 100 && _works.Count >= buried + 100, "the others to go on (I5)");
        if (!Kill) LetFinish(_victim, down);
        _sendNoMore = true;
        Soon(() => _senderEnded, "the sender to end");
        Judge(_sends.Stop(), "the sender");
        Soon(() => !Workspace.Lists(Name, _victim.Id), "somebody to sweep the victim");
        Soon(() => _sender.GetCounts() is { Ready: 0, Leased: 0 }, "every message to be given up");
        Judge(_works.Stop(), "the worker");
        StopOthers();
        Soon(() => _sender.GetCounts() is { Dead: 0 } counts && counts.Free == _sender.Capacity,
            "every dead letter to be over its time (I13)");
        Check();
    }

    protected override void Close()
    {
        _victim?.Dispose();
        _sender?.Dispose();
        _worker?.Dispose();
    }

    private void Check()
    {
        int buried = _buried + _victim!.Lines.Count(static line => line.StartsWith("dead", StringComparison.Ordinal));
        // Where the victim was killed, between a word and what it says or counts of it.
        long dropped = _sender!.GetCounts().DroppedDeadLetters, unsure = Kill ? 1 : 0;
        if (Math.Abs(dropped - buried) > unsure) Findings.Add($"I13: {buried} messages were given up, and {dropped} dead letters dropped");
        if (Math.Abs(Alone + _sends.Count - buried) > unsure)
            Findings.Add($"I1: {Alone + _sends.Count} messages were sent, and {buried} given up");
        CheckCapacity(_sender);
    }

    private void Send()
    {
        for (int i = 0; !Stopping && !_sendNoMore; i++)
        {
            while (!_sender!.TrySend(Payload.Make(2, i, 40)) && !Stopping) _sender.WaitToSend(TimeSpan.FromMilliseconds(20));
            _sends.Beat();
            Thread.Sleep(1); // a trickle, so that two cores suffice for all
        }

        _senderEnded = true;
    }

    private void Work()
    {
        while (!Stopping)
        {
            if (!_worker!.TryLease(out WorkLease lease))
            {
                _worker.WaitToLease(TimeSpan.FromMilliseconds(20));
                continue;
            }

            if (lease.DeadLetter("fault test")) _buried++;
            else Findings.Add("I3: a message was taken away from a live worker");
            // One more may be on its way to its share in the victim, and one in this process.
            if (_worker.GetCounts().Dead > Share + 2) Findings.Add($"I13: {_worker.GetCounts().Dead} dead letters of {Share}");
            _works.Beat();
        }
    }
}
