namespace Otto.Queue;

// The promises, in rising order, so that "at least" is a comparison.

/// <summary>What a task must survive.</summary>
public enum Durability
{
    /// <summary>Nothing: the task is lost if the process that holds it crashes. A graceful stop hands it
    /// over.</summary>
    None,

    /// <summary>Any process's death on this machine, until it restarts. Done at least once.</summary>
    Process,

    /// <summary>The machine. Needs a route that leaves it, such as Redis. Done at least once.</summary>
    Cluster,
}
