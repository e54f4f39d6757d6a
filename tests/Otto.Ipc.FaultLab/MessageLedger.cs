using System.Globalization;

namespace Otto.Ipc.FaultLab;

// Every message ever sent through a queue, and everything that anybody said or did with it. Trusted because it catches planted bugs.

internal sealed class MessageLedger
{
    private readonly Lock _gate = new();
    private readonly Dictionary<string, Entry> _entries = [];
    private readonly Dictionary<(string Worker, string Sender), int> _order = [];
    private readonly List<string> _reordered = [];

    public void Sent(string id)
    {
        lock (_gate) Of(id).Intended = Of(id).Sent = true;
    }

    public void Leased(string id, int attempt, string worker, long time)
    {
        lock (_gate)
        {
            Entry entry = Of(id);
            entry.Leases.Add((worker, attempt, time));
            CheckOrder(id, attempt, worker, entry);
        }
    }

    public void Done(string id, string worker, long time)
    {
        lock (_gate)
        {
            Of(id).Done++;
            Of(id).DoneBy = worker;
            Of(id).DoneAt = time;
        }
    }

    /// <summary>A message whose end is known although nobody could report it.</summary>
    public void Over(string id)
    {
        lock (_gate) Of(id).Over = true;
    }

    /// <summary>Takes in what a process said, once it says no more.</summary>
    public void Read(IReadOnlyList<string> lines, string who)
    {
        foreach (string line in lines)
        {
            string[] words = line[..line.LastIndexOf('@')].Split(' ', StringSplitOptions.RemoveEmptyEntries);
            long time = long.Parse(line.AsSpan(line.LastIndexOf('@') + 1), CultureInfo.InvariantCulture);
            if (words.Length < 2 || !words[1].Contains(':', StringComparison.Ordinal)) continue;
            lock (_gate)
            {
                Entry entry = Of(words[1]);
                switch (words[0])
                {
                    case "intent": entry.Intended = true; break;
                    case "sent": entry.Sent = true; break;
                    case "delayed": entry.Unordered = true; break;
                    case "lease": Leased(words[1], int.Parse(words[2], CultureInfo.InvariantCulture), who, time); break;
                    case "done": Done(words[1], who, time); break;
                    case "requeue": entry.Requeued = entry.Unordered = true; break;
                    case "dead" or "drop": entry.Over = true; break;
                    case "dropped": entry.Dropped = true; break;
                    case "torn" or "lost": entry.Broken = line; break;
                }
            }
        }
    }

    /// <summary>Messages for which nobody may keep an order: they were delayed, or given back.</summary>
    public void Unordered(string id)
    {
        lock (_gate) Of(id).Unordered = true;
    }

    public int Leases(string id)
    {
        lock (_gate) return Of(id).Leases.Count;
    }

    public bool HasRedelivery
    {
        get
        {
            lock (_gate) return _entries.Values.Any(e => e.Leases.Any(l => l.Attempt > 1));
        }
    }

    public bool IsSettled
    {
        get
        {
            lock (_gate) return _entries.Values.All(e => !e.Sent || e.IsOver);
        }
    }

    /// <summary>Holds the whole against I1 to I4.</summary>
    public void Check(Findings findings)
    {
        lock (_gate)
        {
            foreach ((string id, Entry entry) in _entries)
            {
                if (entry.Broken is { } line) findings.Add($"torn or taken away: {line}");
                if (entry.Sent && !entry.IsOver)
                {
                    findings.Lost++;
                    findings.Add($"I1: {id} was sent and never done");
                }

                if (entry.Leases.Count > 0 && !entry.Intended) findings.Add($"I2: {id} was seen and never begun");
                bool again = !entry.Requeued
                    && (entry.Done > 1 || (entry.Done > 0 && entry.Leases.Any(l => l.Time > entry.DoneAt && l.Worker != entry.DoneBy))
                    || (entry.Dropped && entry.Done > 0));
                if (again || (!entry.Requeued && entry.Leases.Select(l => l.Attempt).Distinct().Count() != entry.Leases.Count))
                {
                    findings.Duplicated++;
                    findings.Add($"{(again ? "I4" : "I3")}: {id} was leased {string.Join(", ", entry.Leases)} and done {entry.Done} times");
                }
            }

            findings.Reordered += _reordered.Count;
            foreach (string problem in _reordered) findings.Add(problem);
        }
    }

    /// <summary>First in, first out for each sender and each worker that completes in
    /// order, until something is delivered again.</summary>
    private void CheckOrder(string id, int attempt, string worker, Entry entry)
    {
        string[] parts = id.Split(':');
        (string, string) key = (worker, parts[0]);
        if (attempt > 1 || entry.Unordered)
        {
            _order[key] = int.MinValue; // a redelivery may overtake: nothing is said of this pair any more
            return;
        }

        int sequence = int.Parse(parts[1], CultureInfo.InvariantCulture);
        if (_order.TryGetValue(key, out int last) && last == int.MinValue) return;
        if (_order.ContainsKey(key) && sequence <= last) _reordered.Add($"order: {worker} got {id} after {parts[0]}:{last}");
        _order[key] = sequence;
    }

    private Entry Of(string id) => _entries.TryGetValue(id, out Entry? entry) ? entry : _entries[id] = new Entry();

    private sealed class Entry
    {
        public bool Intended { get; set; }

        public bool Sent { get; set; }

        public bool Over { get; set; }

        public bool Dropped { get; set; }

        public bool Requeued { get; set; }

        public bool Unordered { get; set; }

        public string? Broken { get; set; }

        public List<(string Worker, int Attempt, long Time)> Leases { get; } = [];

        public int Done { get; set; }

        public string? DoneBy { get; set; }

        public long DoneAt { get; set; }

        public bool IsOver => Done > 0 || Over;
    }
}
