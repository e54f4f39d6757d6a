using Otto.Ipc;

namespace Otto.Queue;

// Shared memory as a route for tasks: one segment a queue, opened by name.

internal sealed class SharedMemoryRoute(SharedMemoryOptions options) : ITaskRoute
{
    public Route Route => Route.SharedMemory;

    public Durability Durability => Durability.Process;

    public int Weight => options.Weight;

    public WhenFull WhenFull => options.WhenFull;

    public string NobodyKnownReason => RouteReasons.SegmentKeeps;

    public ValueTask<IWorkQueue> OpenAsync(ChannelName queue, CancellationToken cancellationToken)
        => options.Transport is { } transport
            ? transport.OpenQueueAsync(queue, cancellationToken)
            : throw new NotSupportedException("no shared-memory transport is given");
}
