using Otto.Ipc;

namespace Otto.Queue;

// What a router would do and what it sees, for people and tools.

/// <summary>Where a task would go.</summary>
/// <param name="Queue">The task's queue.</param>
/// <param name="Route">The way that it would take.</param>
/// <param name="Reason">Why, in the words of a receipt.</param>
/// <param name="Routes">What each configured route looks like from here, nearest first.</param>
public sealed record RouteExplanation(string Queue, RouteName Route, string Reason, IReadOnlyList<RouteStatus> Routes);

/// <summary>A route as seen from one process.</summary>
/// <param name="Route">Which.</param>
/// <param name="Error">Why it cannot be used now; <see langword="null"/> while it can.</param>
/// <param name="Workers">Live workers known there, other than this process; in process, the places of its own.</param>
/// <param name="Counts">What its queue holds; <see langword="null"/> if that cannot be determined.</param>
public sealed record RouteStatus(RouteName Route, string? Error, int Workers, WorkQueueCounts? Counts)
{
    /// <summary>Gets what was found that does not stop the route, and may cost tasks.</summary>
    public IReadOnlyList<RouteWarning> Warnings { get; init; } = [];

    /// <summary>Gets the tasks that wait because no worker is known that handles their names.</summary>
    public IReadOnlyList<UnhandledTasks> Unhandled { get; init; } = [];
}

/// <summary>Tasks that wait for a worker that handles them.</summary>
/// <param name="Name">Their name.</param>
/// <param name="Count">How many.</param>
public readonly record struct UnhandledTasks(string Name, int Count);
