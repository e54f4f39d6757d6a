namespace Otto.Ipc.FaultLab;

// One victim and the instruction at which it is stopped, and what the others found.

/// <summary>What must become of the message that the victim was at, if it is killed there.</summary>
internal enum ExpectedOutcome
{
    /// <summary>The victim was at no message in particular, or it may go either way.</summary>
    Open,

    /// <summary>It had not begun to commit: nobody may ever see it.</summary>
    NeverSeen,

    /// <summary>It was committed: it is done, once.</summary>
    Done,

    /// <summary>It was held: somebody else gets it, with its attempt counted.</summary>
    Redelivered,

    /// <summary>It was completed: nobody gets it again.</summary>
    Ended,
}

/// <summary>Where a victim is stopped.</summary>
/// <param name="Scene">Who else is there.</param>
/// <param name="Point">The fault point.</param>
/// <param name="Hit">The how manieth time.</param>
/// <param name="Victim">What the victim does, in words for Otto.Ipc.Peer; the channel's
/// name comes after the first.</param>
/// <param name="Fate">What must become of its message if it is killed.</param>
internal sealed record FaultCase(string Scene, string Point, int Hit, string Victim, ExpectedOutcome Fate = ExpectedOutcome.Open)
{
    public override string ToString() => $"{Scene}: {Victim} at {Point}:{Hit}";
}

/// <summary>What a run showed: all numbers but the last are zero, or an invariant is broken.</summary>
internal sealed class Findings
{
    private readonly Lock _gate = new();
    private readonly List<string> _problems = [];

    public int Lost { get; set; }

    public int Duplicated { get; set; }

    public int Reordered { get; set; }

    /// <summary>The longest time for which somebody who was neither killed nor stopped could do nothing.</summary>
    public TimeSpan WorstStall { get; set; }

    /// <summary>Whether the victim came to the point at all; a random schedule may name a
    /// hit that is never reached.</summary>
    public bool Reached { get; set; } = true;

    public IReadOnlyList<string> Problems
    {
        get
        {
            lock (_gate) return [.. _problems];
        }
    }

    public void Add(string problem)
    {
        lock (_gate) _problems.Add(problem);
    }

    public void Stalled(TimeSpan time)
    {
        lock (_gate)
        {
            if (time > WorstStall) WorstStall = time;
        }
    }
}
