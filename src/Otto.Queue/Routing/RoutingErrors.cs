using System.Globalization;

namespace Otto.Queue;

// Why a task goes nowhere, in words that carry the numbers and the way out.

internal sealed class RoutingErrors(Lane lane)
{
    internal QueueStoppedException Stopped(TaskBinding binding) => new($"queue '{lane.Name}' is stopping and takes no new tasks; '{binding.Name}' was not enqueued");

    internal QueueFullException Full()
    {
        lane.NoteRejected();
        string beyond = lane.Routes.Length == 0 ? "no other route is on" : string.Join(", ", lane.Routes.Select(static r => r.Channel.Status is { } trouble
            ? $"{r.Route.Route}: {trouble}"
            : string.Create(CultureInfo.InvariantCulture, $"{r.Route.Route}: {r.Channel.LastCounts.Free:N0} of {r.Channel.Capacity:N0} free")));
        return new QueueFullException(string.Create(CultureInfo.InvariantCulture,
            $"queue '{lane.Name}' is full: {lane.Ring.Count + lane.Waiting.Count:N0} of {lane.Ring.Capacity:N0} tasks wait here ({beyond}); raise InProcess.Capacity or SharedMemory.Slots, or let producers wait (QueueFullMode)"));
    }

    internal TaskSerializationException TooLarge(TaskBinding binding, RouteConnection route, int bytes, int largest) => new(string.Create(CultureInfo.InvariantCulture,
        $"task '{binding.Name}' of {bytes:N0} bytes with its envelope exceeds the {largest:N0} that queue '{lane.Name}' takes on {route.Route.Route}; raise {(route.Route.Route == Route.SharedMemory ? "SharedMemory.MaxLoanBytes, or SharedMemory.SlotBytes" : $"{route.Route.Route}.MaxMessageBytes")}"));

    internal InvalidOperationException NoRoute(TaskBinding binding, EnqueueOptions options)
    {
        if (options.Route is { } pin && (pin == Route.InProcess || !lane.Routes.Any(r => r.Route.Route == pin)))
            return new($"task '{binding.Name}' is pinned to {pin}, but {(pin == Route.InProcess ? "no worker for it runs in this process" : $"that route is not configured; configured: {Configured()}")}");
        if (options.Durability != Durability.None) return NotDurable(binding, options);
        return new($"task '{binding.Name}' has no way to go: no worker for it runs in this process, and no other route is on; start the queue, or call SharedMemory()");
    }

    internal InvalidOperationException NotDurable(TaskBinding binding, EnqueueOptions options)
    {
        string missing = options.Durability == Durability.Cluster ? "a route that leaves the machine (add Otto.Queue.Redis)" : "shared memory";
        return new(options.Route is null
            ? $"task '{binding.Name}' asks for durability {options.Durability}, which needs {missing}; configured: {Configured()}"
            : $"task '{binding.Name}' asks for durability {options.Durability} and is pinned to {options.Route}, which cannot give it");
    }

    private string Configured() => string.Join(", ", lane.Routes.Select(static r => r.Route.Route).Prepend(Route.InProcess));
}
