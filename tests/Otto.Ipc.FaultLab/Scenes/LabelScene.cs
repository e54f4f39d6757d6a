using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.FaultLab.Scenes;

// A queue whose messages have ids, keys and results: a sender that competes for the keys, a worker, one that takes what is passed over, and
// one that collects results, while the victim stays where it fell. Afterwards each message that was sent is done once and its result was
// collected once, no two messages of a key lived at once, and nobody was refused for a message that never was.

internal sealed class LabelScene(FaultCase fault, bool kill, Random random, bool mustReach) : Scene(fault, kill, random, mustReach)
{
    private const string Name = "jobs";
    private readonly ConcurrentDictionary<string, Entry> _entries = new();
    private readonly StallTimer _sends = new(), _works = new();
    private LabelledWorkQueue? _sender;
    private LabelledWorkQueue? _worker;
    private Victim? _victim;
    private volatile bool _sendNoMore, _senderEnded;

    protected override void Play()
    {
        var options = new MmapQueueOptions { Slots = 128, SlotBytes = 256, MaxAttempts = 10, MaxParticipants = 16 };
        _sender = (LabelledWorkQueue)Workspace.Transport.OpenQueue(Name, options);
        _worker = (LabelledWorkQueue)Workspace.Transport.OpenQueue(Name);
        // A victim that takes what others pass over is the only one that does, until it is down.
        bool victimTakes = Fault.Victim.EndsWith("take", StringComparison.Ordinal);
        if (!victimTakes) _worker.SetSubjects([LabelledMessage.Subject]);
        _worker.SetConsumer(true);
        OnThread(Send);
        OnThread(Work);
        OnThread(Collect);
        _victim = new Victim(Workspace, Fault, Kill, Name);
        bool isDown = _victim.AwaitDown(Findings, MustReach);
        if (victimTakes) _worker.SetSubjects([LabelledMessage.Subject]);
        if (!isDown)
        {
            _victim.Finish();
            return;
        }

        long down = Stopwatch.GetTimestamp();
        _sends.Watch();
        _works.Watch();
        int sent = _sends.Count, done = _works.Count;
        // A stopped victim may hold one of the three keys, by a message that it holds: not the others.
        Soon(() => _sends.Count >= sent + 20 && _works.Count >= done + 20, "the others to go on (I5)");
        if (!Kill) LetFinish(_victim, down);
        _sendNoMore = true;
        Soon(() => _senderEnded, "the sender to end");
        Read(_victim.Lines);
        Judge(_sends.Stop(), "the sender");
        string? intent = _victim.Last("intent");
        if (Kill && Fault.Fate == ExpectedOutcome.Done) Of(intent!).Sent = true;
        Soon(() => _entries.Values.All(static e => !e.Sent || (e.Done == 1 && e.Collected == 1)),
            "every message to be done, and every result to come (I1, I11)");
        // What it left half-done is swept, and then done by the others.
        Soon(() => !Workspace.Lists(Name, _victim.Id), "somebody to sweep the victim");
        Soon(() => _sender.GetCounts() is { Ready: 0, Leased: 0, Delayed: 0, PassedOver: 0 }, "everything to be done");
        Judge(_works.Stop(), "the worker");
        if (Kill && Fault.Fate == ExpectedOutcome.NeverSeen && Of(intent!).Leases > 0)
            Findings.Add($"I2: {intent} was seen, although it was not committed");
        StopOthers();
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
        foreach ((string id, Entry entry) in _entries)
        {
            if (entry.Done > 1) Findings.Add($"I4: {id} was completed {entry.Done} times");
            if (entry.Collected > 1) Findings.Add($"I11: the result of {id} was collected {entry.Collected} times");
            if (entry.Sent && (entry.Done == 0 || entry.Collected == 0))
            {
                Findings.Lost++;
                Findings.Add($"I11: {id}: sent, {entry.Leases} leases, {entry.Done} times done, result {entry.Collected} times");
            }

            if (entry.IsReason && entry.Leases == 0) Findings.Add($"I12: a message was refused for {id}, which nobody ever got");
        }

        // Of a message that was committed unsaid nobody asked for the result.
        Soon(() =>
        {
            foreach ((string id, Entry entry) in _entries)
                if (!entry.Sent) TryCollect(id, entry);
            return _sender!.GetCounts() is { Results: 0, Leased: 0 } counts && counts.Free == _sender!.Capacity;
        }, "every slot to be free");
        CheckCapacity(_sender!);
    }

    private void Send()
    {
        for (int i = 0; !Stopping && !_sendNoMore; i++)
        {
            string id = $"2:{i}";
            LabelledSendResult result = _sender!.TrySend(Payload.Make(2, i, 40), LabelledMessage.Labels(2, i), TimeSpan.Zero, null);
            if (result.Status == LabelledSendStatus.Sent) Of(id).Sent = true;
            else if (result.Status == LabelledSendStatus.KeyTaken) Of(NameOf(result.Existing)).IsReason = true;
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
                _worker.WaitToLease(TimeSpan.FromMilliseconds(100));
                continue;
            }

            if (!Payload.TryRead(lease.Payload.Span, out int sender, out int sequence))
                Findings.Add($"I2: a torn message {sender}:{sequence}");
            Entry entry = Of($"{sender}:{sequence}");
            if (Interlocked.Increment(ref entry.Leases) == 1 && Fault.Victim.EndsWith("take", StringComparison.Ordinal))
            {
                lease.PassOver(LabelledMessage.Subject); // To whoever is quicker.
                continue;
            }

            string? other = null;
            // By a look at every slot, so that a damaged index does not hide it.
            if (_worker.TryFind(
                m => Payload.TryRead(m, out int s, out int n) && LabelledMessage.Key(s, n) == LabelledMessage.Key(sender, sequence)
                && (s, n) != (sender, sequence) && (other = $"{s}:{n}") is not null, out _, out _))
                Findings.Add($"I12: {sender}:{sequence} and {other} have one key at once");
            if (lease.Complete(LabelledMessage.Result(sender, sequence))) Interlocked.Increment(ref entry.Done);
            else Findings.Add($"I3: {sender}:{sequence} was taken away from a live worker");
            _works.Beat();
        }
    }

    private void Collect()
    {
        while (!Stopping)
        {
            foreach ((string id, Entry entry) in _entries) TryCollect(id, entry);
            Thread.Sleep(5);
        }
    }

    private void TryCollect(string id, Entry entry)
    {
        if (entry.Collected > 0) return;
        string[] parts = id.Split(':');
        int sender = int.Parse(parts[0], CultureInfo.InvariantCulture), sequence = int.Parse(parts[1], CultureInfo.InvariantCulture);
        MessageState state = _sender!.TryTakeResult(LabelledMessage.Id(sender, sequence), out byte[] result);
        if (state == MessageState.Done && !result.AsSpan().SequenceEqual(LabelledMessage.Result(sender, sequence)))
            Findings.Add($"I11: {id} has a wrong result");
        if (state is MessageState.Done or MessageState.Cancelled) entry.Collected++;
        if (state != MessageState.Cancelled) return;
        // Its sender cancelled it: as good as done.
        entry.Done++;
        entry.Leases++;
    }

    private void Read(IReadOnlyList<string> lines)
    {
        foreach (string line in lines)
        {
            string[] words = line[..line.LastIndexOf('@')].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2 || !words[1].Contains(':', StringComparison.Ordinal)) continue;
            Entry entry = Of(words[1]);
            switch (words[0])
            {
                case "sent": entry.Sent = true; break;
                case "lease": Interlocked.Increment(ref entry.Leases); break;
                case "done": Interlocked.Increment(ref entry.Done); break;
                case "refused": entry.IsReason = true; break;
                case "torn" or "lost": Findings.Add(line); break;
            }
        }

        // Killed between the completion and saying so: what it completed shows in the result.
        if (Kill && Fault.Fate == ExpectedOutcome.Ended)
            Interlocked.Increment(ref Of(_victim!.Last("lease") ?? _victim.Last("sent")!).Done);
    }

    private static string NameOf(UInt128 id) =>
        string.Create(CultureInfo.InvariantCulture, $"{(int)(ulong)(id >> 64)}:{(int)(ulong)id - 1}");

    private Entry Of(string id) => _entries.GetOrAdd(id, static _ => new Entry());

    private sealed class Entry
    {
        public int Leases;
        public int Done;

        public bool Sent { get; set; }

        public bool IsReason { get; set; }

        public int Collected { get; set; }
    }
}
