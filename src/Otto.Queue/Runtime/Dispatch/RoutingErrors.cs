using System.Globalization;

namespace Otto.Queue;

// Why a task goes nowhere, in words that carry the numbers and the way out.

internal static class RoutingErrors
{
    internal static QueueStoppedException Stopped(string queue, string task) =>
        new($"queue '{queue}' is stopping and accepts no new tasks; '{task}' was not enqueued");

    internal static QueueFullException Full(string queue, LocalDispatcher local, RouteConnection[] routes)
    {
        local.CountRejected();
        (int waiting, _, int capacity) = local.Count();
        string beyond = routes.Length == 0 ? "no other route is on"
            : string.Join(", ", routes.Select(static r => r.Channel.Status is { } status ? $"{r.Name}: {status}"
            // What it counted last may be older than what it answered.
            : r.Sender.IsPassedOver && r.Channel.UsesNetwork && r.Channel.LastCounts.Free > 0
                ? string.Create(CultureInfo.InvariantCulture, $"{r.Name}: {r.Channel.Capacity:N0} places, full")
            : $"{r.Name}: {Describe(r.Channel)}"));
        string here = !local.Handles ? beyond
            : string.Create(CultureInfo.InvariantCulture, $"{waiting:N0} of {capacity:N0} tasks wait here ({beyond})");
        List<string> raise = local.Handles ? ["InProcess.Capacity"] : [];
        foreach (RouteConnection route in routes)
            if (route.Sender.IsPassedOver || !local.Handles)
                raise.Add(route.Name == RouteName.SharedMemory ? "SharedMemory.Slots" : $"{route.Name}.Capacity");
        return new QueueFullException(
            $"queue '{queue}' is full: {here}; raise {string.Join(" or ", raise)}, or set FullMode to Wait "
            + "(a handler cannot wait for room in a queue)");
    }

    // What fills it says what to do about it.
    private static string Describe(TaskChannel channel)
    {
        Ipc.WorkQueueCounts counts = channel.LastCounts;
        (int Count, string What)[] kinds =
            [(counts.Ready, "ready"), (counts.Leased, "leased"), (counts.Delayed, "delayed"), (counts.Dead, "dead letters"),
                (counts.Results, "results that were not collected"), (counts.PassedOver, "without a handler")];
        string filled = string.Join(", ", kinds.Where(static k => k.Count > 0)
            .Select(static k => string.Create(CultureInfo.InvariantCulture, $"{k.Count:N0} {k.What}")));
        return string.Create(CultureInfo.InvariantCulture, $"{counts.Free:N0} of {channel.Capacity:N0} free")
            + (filled.Length > 0 ? $": {filled}" : "");
    }

    internal static TaskSerializationException TooLarge(string queue, string task, RouteName route, int bytes, int largest) =>
        new(string.Create(CultureInfo.InvariantCulture,
        $"task '{task}' of {bytes:N0} bytes with its envelope exceeds the {largest:N0} that queue '{queue}' takes on {route}; raise "
        + $"{(route == RouteName.SharedMemory ? "SharedMemory.MaxLoanBytes, or SharedMemory.SlotBytes" : $"{route}.MaxMessageBytes")}"));

    internal static InvalidOperationException NoRoute(string task, EnqueueOptions options, RouteConnection[] routes)
    {
        if (options.Route is { } pin && (pin == RouteName.InProcess || !routes.Any(r => r.Name == pin)))
        {
            string reason = pin == RouteName.InProcess ? "no worker for it runs in this process"
                : $"that route is not configured; configured: {Configured(routes)}";
            return new($"task '{task}' is pinned to {pin}, but {reason}");
        }

        if (options.Durability != Durability.None) return NotDurable(task, options, routes);
        return new($"task '{task}' has no route: no worker for it runs in this process, and no other route is on; start the queue, "
            + $"or call UseSharedMemory()");
    }

    internal static InvalidOperationException NotDurable(string task, EnqueueOptions options, RouteConnection[] routes)
    {
        string missing = options.Durability == Durability.Cluster ? "a route that leaves the machine (add Otto.Queue.Redis)"
            : "shared memory";
        return new(options.Route is null
            ? $"task '{task}' asks for durability {options.Durability}, which needs {missing}; configured: {Configured(routes)}"
            : $"task '{task}' asks for durability {options.Durability} and is pinned to {options.Route}, which does not have it");
    }

    private static string Configured(RouteConnection[] routes) =>
        string.Join(", ", routes.Select(static r => r.Name).Prepend(RouteName.InProcess));
}
