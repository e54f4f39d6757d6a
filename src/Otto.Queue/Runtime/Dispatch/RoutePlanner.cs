namespace Otto.Queue;

// Where a task goes: the first rule that fits, judged again for each task. A pure function of values: what is asked for the task, what is
// known of the queue here and of the routes. docs/routes.md has the rules as a table, which a test reads.

internal static class RoutePlanner
{
    /// <summary>Decides where a task goes.</summary>
    /// <param name="request">What is asked for it.</param>
    /// <param name="local">The queue in this process.</param>
    /// <param name="routes">The routes beyond, nearest first.</param>
    internal static RoutePlan Plan(in PlanRequest request, in LocalState local, ReadOnlySpan<RouteState> routes)
    {
        // A handler that is still running may finish what it began: its follow-ups go to others.
        if (local.Queue >= QueueState.Draining && (local.Queue == QueueState.Stopped || routes.Length == 0 || !request.IsInsideHandler))
            return new RoutePlan(PlanAction.RefuseStopped);

        bool pinnedHere = request.Pin == RouteName.InProcess;
        if (pinnedHere && request.Durability != Durability.None) return new RoutePlan(PlanAction.RefuseNotDurable);
        bool overflowed = false;
        if (request.Pin is null || pinnedHere)
        {
            bool onlyHere = pinnedHere || routes.Length == 0;
            if (!local.Accepts)
            {
                if (onlyHere) return new RoutePlan(PlanAction.RefuseNoRoute);
            }
            else if (request.NeedsOnlyObject || (onlyHere && request.Durability == Durability.None))
            {
                if (local.HasRoom) return new RoutePlan(PlanAction.HandOver,
                    Reason: pinnedHere ? RouteReason.Pinned : request.IsDelayed ? RouteReason.DelayedHere : local.Reason);
                if (local.FullMode == QueueFullMode.Reject) return new RoutePlan(PlanAction.RefuseFull);
                if (onlyHere || (local.FullMode == QueueFullMode.Wait && !request.IsInsideHandler))
                    return new RoutePlan(request.IsInsideHandler ? PlanAction.RefuseFull : PlanAction.Wait);
                overflowed = true;
            }
            else if (request.Durability <= Durability.Process && !request.IsDelayed && local.HasRoomForHeld
                && FindHolding(request, routes) is var holding and >= 0)
            {
                return new RoutePlan(PlanAction.Hold, holding,
                    request.Durability == Durability.None ? RouteReason.KeptForKey : RouteReason.Kept);
            }
        }

        int best = Choose(request, overflowed, routes);
        return best < 0 ? new RoutePlan(PlanAction.RefuseNoRoute)
            : new RoutePlan(PlanAction.Send, best, overflowed ? local.OverflowReason : Reason(request, local, routes[best]), overflowed);
    }

    /// <summary>Whether a task may take a route although another was chosen and is full or unavailable.</summary>
    internal static bool IsAlternative(in PlanRequest request, Durability durability)
        => request.Pin is null && !request.HasKey && durability >= request.Durability;

    // A key is registered in the widest route; where that cannot hold, the whole task goes there.
    private static int FindHolding(in PlanRequest request, ReadOnlySpan<RouteState> routes)
    {
        for (int i = 0; i < routes.Length; i++)
            if (routes[i].CanHold && routes[i].Durability >= request.Durability) return request.HasKey && i != routes.Length - 1 ? -1 : i;
        return -1;
    }

    // The route to try first: where a worker is known, nearest first; else where a task is kept best until a worker comes.
    private static int Choose(in PlanRequest request, bool overflowed, ReadOnlySpan<RouteState> routes)
    {
        // One register of keys, whoever works where: the widest route, and no other while that is full or out of reach.
        if (request is { HasKey: true, Pin: null })
        {
            for (int i = routes.Length - 1; i >= 0; i--)
                if (routes[i].Durability >= request.Durability) return i;
            return -1;
        }

        int nearest = -1, widest = -1;
        for (int i = 0; i < routes.Length; i++)
        {
            ref readonly RouteState route = ref routes[i];
            if (request.Pin is { } pin && pin != route.Name || route.Durability < request.Durability) continue;
            // Durable goes the nearest way that is durable enough.
            if (request.Durability != Durability.None && request.Pin is null && !route.IsPassedOver) return i;
            if (request.Durability == Durability.None && !route.IsPassedOver && route.OtherWorkers > 0) return i;
            if (nearest < 0) nearest = i;
            if (!route.IsPassedOver || widest < 0) widest = i;
        }

        // No worker is known beyond. What overflowed stays near, since workers are here; else the widest route finds a worker soonest.
        return overflowed || request.Durability != Durability.None ? nearest : widest;
    }

    private static string Reason(in PlanRequest request, in LocalState local, in RouteState route)
    {
        if (request.Pin is not null) return RouteReason.Pinned;
        if (local.Queue >= QueueState.Draining) return RouteReason.Draining;
        if (request.HasKey) return RouteReason.Keyed;
        if (request.Durability != Durability.None) return RouteReason.Durable;
        if (request.IsDelayed) return RouteReason.Delayed;
        if (route.OtherWorkers > 0) return RouteReason.Attached(route.Reach);
        return local.Works ? RouteReason.WorkerHereByRoute : route.NoWorkerReason;
    }
}

/// <summary>What is asked for a task.</summary>
internal readonly record struct PlanRequest
{
    internal RouteName? Pin { get; init; }

    internal Durability Durability { get; init; }

    internal bool IsDelayed { get; init; }

    internal bool HasKey { get; init; }

    internal bool Repeats { get; init; }

    /// <summary>Whether the caller is a handler of the queue: it may not wait, it could be waiting for
    /// itself.</summary>
    internal bool IsInsideHandler { get; init; }

    /// <summary>Whether a reference to the object is enough: nothing must outlive a crash or be known to other
    /// processes.</summary>
    internal bool NeedsOnlyObject => Durability == Durability.None && !IsDelayed && !HasKey && !Repeats;
}

/// <summary>The queue in this process.</summary>
internal readonly record struct LocalState
{
    internal QueueState Queue { get; init; }

    /// <summary>Whether the task's handler is in this process, and its queue takes tasks.</summary>
    internal bool Accepts { get; init; }

    /// <summary>Whether workers of this process take tasks from the routes.</summary>
    internal bool Works { get; init; }

    /// <summary>Whether there is room for a task that is passed only by reference.</summary>
    internal bool HasRoom { get; init; }

    /// <summary>Whether a task that a route has as well finds room.</summary>
    internal bool HasRoomForHeld { get; init; }

    internal QueueFullMode FullMode { get; init; }

    internal string Reason { get; init; }

    internal string OverflowReason { get; init; }
}

/// <summary>A route beyond this process.</summary>
internal readonly record struct RouteState
{
    internal RouteName Name { get; init; }

    internal RouteReach Reach { get; init; }

    internal Durability Durability { get; init; }

    /// <summary>Whether it was full a moment ago or cannot be reached.</summary>
    internal bool IsPassedOver { get; init; }

    internal int OtherWorkers { get; init; }

    /// <summary>Whether it can keep a task that is run here.</summary>
    internal bool CanHold { get; init; }

    internal string NoWorkerReason { get; init; }
}

/// <summary>What to do with a task.</summary>
internal enum PlanAction
{
    /// <summary>Hand the object over in this process.</summary>
    HandOver,

    /// <summary>Store the task on the route, leased by this process, and hand the object over.</summary>
    Hold,

    /// <summary>Send it on the route.</summary>
    Send,

    /// <summary>Wait for room in this process, then plan again.</summary>
    Wait,

    /// <summary>Refuse it because there is no room.</summary>
    RefuseFull,

    /// <summary>Refuse it because the queue is stopping.</summary>
    RefuseStopped,

    /// <summary>Refuse it because no route fits.</summary>
    RefuseNoRoute,

    /// <summary>Refuse it because its pin cannot give the durability that is asked for.</summary>
    RefuseNotDurable,
}

/// <summary>Where a task goes, and why.</summary>
/// <param name="Action">What to do.</param>
/// <param name="Route">The index of the route beyond this process; -1 for none.</param>
/// <param name="Reason">Why, as on the receipt.</param>
/// <param name="Overflowed">Whether the queue in this process was the first choice and had no room.</param>
internal readonly record struct RoutePlan(PlanAction Action, int Route = -1, string Reason = "", bool Overflowed = false);
