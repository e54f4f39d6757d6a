namespace Otto.Queue;

// The words on receipts. They are constants (or made once a queue), so that giving a reason costs nothing and a counter can be split by it.

internal static class RouteReason
{
    internal const string WorkerHere = "worker here has room";
    internal const string WorkerHereByRoute = "worker here takes it from this route";
    internal const string OnlyRoute = "the only route: waits for the worker here to start";
    internal const string WorkerAttached = "worker attached on this machine";
    internal const string WorkerElsewhere = "worker known on this route";

    /// <summary>The nearest route on which workers are known.</summary>
    internal static string Attached(RouteReach reach) => reach == RouteReach.Machine ? WorkerAttached : WorkerElsewhere;
    internal const string SegmentKeeps = "no worker is known: the segment keeps it";
    internal const string Pinned = "pinned";
    internal const string Kept = "durability Process: kept in the segment, worker here has room";
    internal const string Durable = "durability asked for";
    internal const string Delayed = "delayed: kept where it outlives this process";
    internal const string DelayedHere = "delayed: the only route keeps it";
    internal const string Keyed = "key: the widest route, where it is registered";
    internal const string KeptForKey = "key: kept in the segment, worker here has room";
    internal const string KeyTaken = "key: taken by a task that is pending or running";
    internal const string Draining = "the queue here is draining";

    /// <summary>How each reason begins that means another way than the first choice.</summary>
    internal const string OverflowPrefix = "spilled: ";

    internal static string PassedOverFull(RouteName route) => $"{OverflowPrefix}{route} is full";

    internal static string PassedOverDown(RouteName route) => $"{OverflowPrefix}{route} cannot be reached";

    internal static string Overflowed(int capacity) =>
        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{OverflowPrefix}the queue here is full ({capacity:N0})");
}
