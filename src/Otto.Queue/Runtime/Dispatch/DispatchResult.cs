namespace Otto.Queue;

// Where a task went, or what to wait for before the next try.

internal readonly record struct DispatchResult(RouteName Route, string? Reason)
{
    /// <summary>Whether to wait for room in this process.</summary>
    internal bool WaitLocal { get; init; }

    /// <summary>The route on which to wait for room; <see langword="null"/> if there is none.</summary>
    internal RouteConnection? WaitRemote { get; init; }

    /// <summary>The task that has the key.</summary>
    internal TaskId? Duplicate { get; init; }

    internal static DispatchResult KeyTaken(RouteName route, TaskId existing) => new(route, RouteReason.KeyTaken) { Duplicate = existing };
}
