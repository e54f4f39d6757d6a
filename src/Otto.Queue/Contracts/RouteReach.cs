namespace Otto.Queue;

// How far a route reaches decides the order in which routes are considered: the nearest first.

/// <summary>Which workers a route can reach.</summary>
public enum RouteReach
{
    /// <summary>Workers in this process.</summary>
    Process,

    /// <summary>Workers in any process on this machine.</summary>
    Machine,

    /// <summary>Workers on any machine of the network.</summary>
    Network,
}
