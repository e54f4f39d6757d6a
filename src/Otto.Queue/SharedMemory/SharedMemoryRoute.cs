using Otto.Ipc;
using Otto.Ipc.Mmap;

namespace Otto.Queue;

// Shared memory as a route for tasks: one segment a queue, opened by name.

internal sealed class SharedMemoryRoute(SharedMemoryOptions options) : ITaskRoute
{
    public Route Route => Route.SharedMemory;

    public Durability Durability => Durability.Process;

    public int Weight => options.Weight;

    public WhenFull WhenFull => options.WhenFull;

    public string NobodyKnownReason => RouteReasons.SegmentKeeps;

    public async ValueTask<TaskChannel> OpenAsync(ChannelName queue, CancellationToken cancellationToken)
        => TaskChannel.Over(options.Transport is { } transport ? await transport.OpenQueueAsync(queue, cancellationToken).ConfigureAwait(false) : Open(queue));

    private IWorkQueue Open(ChannelName queue)
        => new MmapTransport(new MmapTransportOptions { Directory = options.Directory })
            .OpenQueue(queue, new MmapQueueOptions { Slots = options.Slots, SlotBytes = options.SlotBytes, MaxLoanBytes = options.MaxLoanBytes, MaxAttempts = options.MaxAttempts });
}
