using System.Diagnostics;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.FaultLab.Scenes;

// The victim makes, removes, or repairs a segment, alone; then others come, and must find everything in order within two seconds.

internal sealed class SegmentScene(FaultCase fault, bool kill, Random random, bool mustReach) : Scene(fault, kill, random, mustReach)
{
    private const string Name = "jobs";
    private const int Messages = 6, Held = 3;
    private Victim? _victim;
    private WorkQueue? _queue;

    protected override void Play()
    {
        bool sweeps = Fault.Victim.StartsWith("queue-stay", StringComparison.Ordinal),
            removes = Fault.Victim.StartsWith("segment-remove", StringComparison.Ordinal);
        var options = new MmapQueueOptions { Slots = 8, SlotBytes = 256, MaxDeadLetters = 8,
            MaxAttempts = Fault.Point == "queue.sweep.taken-over" ? 1 : 10,
            MaxParticipants = 16 };
        if (sweeps) LeaveSomething(options);
        if (removes) Workspace.Transport.OpenQueue(Name, options).Dispose();
        _victim = new Victim(Workspace, Fault, Kill, Name);
        if (!_victim.AwaitDown(Findings, MustReach))
        {
            _victim.Finish();
            return;
        }

        long down = Stopwatch.GetTimestamp();
        if (removes && !Kill)
        {
            // The one step that a stopped process can hold up: only its remover may take the name away.
            // Whoever opens it hears so within two seconds.
            if (!Refuses(options)) Findings.Add("I7: a segment that is being removed was opened");
            Judge(Stopwatch.GetElapsedTime(down), "whoever opens a segment that is being removed");
            _victim.Continue();
            _victim.AwaitEnd(Findings);
        }

        _queue = Workspace.Transport.OpenQueue(Name, sweeps ? null : options);
        if (!removes) Judge(Stopwatch.GetElapsedTime(down), "whoever opens the segment next");
        int dead = options.MaxAttempts == 1 ? Held : 0;
        // What a stopped sweeper has in its hands stays there until it goes on: one message at most.
        int mayWait = sweeps && !Kill ? 1 : 0;
        int done = 0, again = 0;
        if (sweeps)
        {
            Soon(() => Work(ref done, ref again) && done + _queue.GetCounts().Dead >= Messages - mayWait, "what the dead one held (I3)");
            Judge(Stopwatch.GetElapsedTime(down), "whoever waits for the repair");
        }

        if (!Kill && !removes)
        {
            WaitOutAPeriod(down);
            _victim.Continue();
            _victim.Finish();
            _victim.AwaitEnd(Findings);
        }

        if (sweeps)
        {
            Soon(() => Work(ref done, ref again) && done + _queue.GetCounts().Dead == Messages && _queue.GetCounts().Dead == dead,
                "everything (I1)");
            if (again != Held - dead) Findings.Add($"I3: {again} messages were delivered again, {Held - dead} were held");
        }

        foreach (DeadLetter letter in _queue.GetDeadLetters()) _queue.DeleteDeadLetter(letter.Id);
        int sent = 0;
        Soon(() => _queue.GetCounts().Free == _queue.Capacity, "every slot to be free");
        while (sent <= _queue.Capacity && _queue.TrySend([1])) sent++;
        Soon(() => Workspace.LentBlocks(Name + ".queue") == 0, "every block to be free again");
        if (sent != _queue.Capacity) Findings.Add($"slots: of {_queue.Capacity} slots {sent} could be filled");
    }

    protected override void Close()
    {
        _victim?.Dispose();
        _queue?.Dispose();
    }

    /// <summary>Six messages, three of them in the hands of one that was killed.</summary>
    private void LeaveSomething(MmapQueueOptions options)
    {
        using (WorkQueue queue = Workspace.Transport.OpenQueue(Name, options))
        {
            for (int i = 0; i < Messages; i++) queue.TrySend(Payload.Make(9, i, 40));
        }

        using var holder = new PeerProcess(Workspace.Directory, [], ["queue-hold", Name, "3"]);
        holder.WaitFor("holding");
        using var borrower = Fault.Point == "loan.sweep.before" ? new PeerProcess(Workspace.Directory, [], ["loan-borrow", Name]) : null;
        borrower?.WaitFor("holding");
        // Both at once, as near as can be: one that lived a second longer would sweep the other.
        borrower?.Signal(9);
        holder.Signal(9);
        borrower?.Kill();
        holder.Kill();
    }

    private bool Refuses(MmapQueueOptions options)
    {
        try
        {
            Workspace.Transport.OpenQueue(Name, options).Dispose();
            return false;
        }
        catch (IOException)
        {
            return true;
        }
    }

    private bool Work(ref int done, ref int again)
    {
        while (_queue!.TryLease(out WorkLease lease))
        {
            if (!Payload.TryRead(lease.Payload.Span, out _, out _)) Findings.Add("I2: a torn message");
            if (lease.Attempt > 1) again++;
            if (lease.Complete()) done++;
        }

        return true;
    }
}
