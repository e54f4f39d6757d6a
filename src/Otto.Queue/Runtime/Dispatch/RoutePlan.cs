namespace Otto.Queue;

// What a planner is asked, what it knows, and what it answers. Nothing but values, so that a test can state each row of docs/routes.md.

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
