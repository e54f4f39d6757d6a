using System.Diagnostics;
using System.Globalization;

namespace Otto.Ipc.Conformance;

// What everybody said they did with every message, and whether it adds up. It is trusted because it catches planted bugs
// (Otto.Ipc.Mmap.Tests, SweepFaultTests). What a killed process was about to do and could not report is the only thing that it leaves open.

/// <summary>The checker of the queue.</summary>
public sealed class QueueLedger
{
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly List<string> _problems = [];
    private readonly List<(PeerProcess Peer, List<(string Id, int Attempt)> Leases)> _runs = [];

    /// <summary>Takes in what one process said.</summary>
    public void Add(PeerProcess peer)
    {
        List<(string Id, int Attempt)> run = [];
        _runs.Add((peer, run));
        foreach (string line in peer.Lines)
        {
            int at = line.LastIndexOf('@');
            string[] words = line[..at].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (words.Length < 2 || !words[1].Contains(':', StringComparison.Ordinal)) continue;
            long time = long.Parse(line.AsSpan(at + 1), CultureInfo.InvariantCulture);
            Entry entry = Of(words[1]);
            switch (words[0])
            {
                case "intent": entry.Intended = true; break;
                case "sent": entry.Sent = true; break;
                case "delayed": entry.Delayed = true; break;
                case "abort": entry.Aborted = true; break;
                case "lease":
                    int attempt = int.Parse(words[2], CultureInfo.InvariantCulture);
                    entry.Leases.Add((peer, attempt, time));
                    run.Add((words[1], attempt));
                    break;
                case "done": entry.Done.Add((peer, time)); break;
                case "requeue": entry.Requeues++; break;
                case "dead": entry.Dead = true; break;
                case "drop": entry.DropTried = true; break;
                case "dropped": entry.Dropped = true; break;
                case "torn": _problems.Add($"{peer} saw a torn message: {line}"); break;
                case "lost": _problems.Add($"{peer} lost a lease that it held: {line}"); break;
            }
        }
    }

    /// <summary>Whether every message that was sent has come to its end.</summary>
    public bool IsSettled => _entries.Values.All(entry => !entry.Sent || entry.IsOver);

    public IReadOnlyList<string> Unsettled => [.. _entries.Where(e => e.Value.Sent && !e.Value.IsOver).Select(e => e.Key)];

    /// <summary>Holds the whole against the invariants.</summary>
    public IReadOnlyList<string> Check()
    {
        foreach ((string id, Entry entry) in _entries)
        {
            if (entry.Sent && !entry.IsOver) _problems.Add($"I1: {id} was sent and never done");
            if (entry.Leases.Count > 0 && !entry.Intended)
                _problems.Add($"I2: {id} was seen and never begun{(entry.Aborted ? ", it was aborted" : "")}");
            if (entry.Dropped && entry.Done.Count > 0) _problems.Add($"I4: {id} was dropped or cancelled, and done");
            if (entry.Done.Count > 1 + entry.Requeues) _problems.Add($"I4: {id} was completed {entry.Done.Count} times");
            foreach ((PeerProcess by, long time) in entry.Done)
            {
                if (entry.Requeues == 0 && entry.Leases.Any(lease => lease.Time > time && lease.Peer != by))
                    _problems.Add($"I4: {id} was leased after {by} completed it");
            }

            if (entry.Requeues == 0 && entry.Leases.Select(lease => lease.Attempt).Distinct().Count() != entry.Leases.Count)
                _problems.Add($"I3: {id} was leased twice in one attempt: "
                    + $"{string.Join(", ", entry.Leases.Select(l => $"{l.Attempt} by {l.Peer}"))}");
        }

        foreach ((PeerProcess peer, List<(string, int)> leases) in _runs) CheckOrder(peer, leases);
        return _problems;
    }

    /// <summary>A message that the test itself sent.</summary>
    public void AddSent(string id) => Of(id).Intended = Of(id).Sent = true;

    /// <summary>A message whose end is known although nobody could report it.</summary>
    public void AddOver(string id) => Of(id).Dead = true;

    /// <summary>When a message was first leased again, or null.</summary>
    public long? FirstRedelivery() => _entries.Values.SelectMany(e => e.Leases).Where(l => l.Attempt > 1).Select(l => (long?)l.Time).Min();

    public int Leases(string id) => Of(id).Leases.Count;

    /// <summary>The last message about which a process said this.</summary>
    public static string? Last(PeerProcess peer, string verb)
    {
        string? line = peer.Lines.LastOrDefault(line => line.StartsWith(verb + " ", StringComparison.Ordinal));
        return line?.Split(' ')[1];
    }

    /// <summary>The longest time in which a process said nothing, after <paramref name="from"/>.</summary>
    public static TimeSpan LongestSilence(PeerProcess peer, long from)
    {
        long last = from, longest = 0;
        foreach (string line in peer.Lines)
        {
            long time = long.Parse(line.AsSpan(line.LastIndexOf('@') + 1), CultureInfo.InvariantCulture);
            if (time < from) continue;
            longest = Math.Max(longest, time - last);
            last = time;
        }

        return Stopwatch.GetElapsedTime(0, longest);
    }

    /// <summary>First in, first out for each sender, in the eyes of a worker that completes
    /// in order, until something is delivered again.</summary>
    private void CheckOrder(PeerProcess peer, List<(string Id, int Attempt)> leases)
    {
        var order = new Dictionary<string, int>();
        foreach ((string id, int attempt) in leases)
        {
            if (attempt > 1) return;
            if (Of(id).Requeues > 0 || Of(id).Delayed) continue;
            string[] parts = id.Split(':');
            int sequence = int.Parse(parts[1], CultureInfo.InvariantCulture);
            if (order.TryGetValue(parts[0], out int last) && sequence <= last)
                _problems.Add($"order: {peer} got {id} after {parts[0]}:{last}");
            order[parts[0]] = sequence;
        }
    }

    private Entry Of(string id) => _entries.TryGetValue(id, out Entry? entry) ? entry : _entries[id] = new Entry();

    private sealed class Entry
    {
        public bool Intended { get; set; }

        public bool Sent { get; set; }

        public bool Delayed { get; set; }

        public bool Aborted { get; set; }

        public bool Dead { get; set; }

        public bool Dropped { get; set; }

        public bool DropTried { get; set; }

        public int Requeues { get; set; }

        public List<(PeerProcess Peer, int Attempt, long Time)> Leases { get; } = [];

        public List<(PeerProcess Peer, long Time)> Done { get; } = [];

        public bool IsOver => Done.Count > 0 || Dead || DropTried;
    }
}
