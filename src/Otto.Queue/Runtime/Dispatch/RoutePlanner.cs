namespace Otto.Queue;

// Where a task goes: the first rule that fits, judged again for each task. A pure function; docs/routes.md has the rules as a table, which
// a test reads.

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
                if (local.FullMode == QueueFullMode.Reject || request.IsDelayed) return new RoutePlan(PlanAction.RefuseFull);
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
        return route.OtherWorkers == 0 ? route.NoWorkerReason : RouteReason.Attached(route.Reach);
    }
}
