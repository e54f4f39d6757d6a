using Otto.Ipc;
using Otto.Ipc.Mmap;

namespace Otto.Queue;

// Shared memory as a route for tasks: one segment a queue, opened by name.

internal sealed class SharedMemoryRoute(SharedMemoryOptions options) : ITaskRoute
{
    public Route Route => Route.SharedMemory;

    public Durability Durability => Durability.Process;

    public int Weight => options.Weight;

    public QueueFullMode FullMode => options.FullMode;

    public string NoWorkerReason => RouteReason.SegmentKeeps;

    public async ValueTask<TaskChannel> OpenAsync(ChannelName queue, CancellationToken cancellationToken)
    {
        if (options.Transport is { } other) return TaskChannel.Over(await other.OpenQueueAsync(queue, cancellationToken).ConfigureAwait(false), other as ITopicTransport);
        MmapTransport transport = new(new MmapTransportOptions { Directory = options.Directory });
        return TaskChannel.Over(
            transport.OpenQueue(queue, new MmapQueueOptions { Slots = options.Slots, SlotBytes = options.SlotBytes, MaxLoanBytes = options.MaxLoanBytes, MaxAttempts = options.MaxAttempts }),
            new NoticeTopics(transport));
    }

    // Small rings for many who may speak: whoever falls behind loses the oldest notices and holds nobody up.
    private sealed class NoticeTopics(MmapTransport transport) : ITopicTransport
    {
        private static readonly MmapTopicOptions Options = new() { Capacity = 1 << 14, MaxPublishers = 32, MaxSubscribers = 256, Policy = SlowSubscriberPolicy.Overwrite };

        public string Name => transport.Name;

        public TransportTraits Traits => transport.Traits;

        public ValueTask<MessagePublisher> OpenPublisherAsync(ChannelName name, CancellationToken cancellationToken = default) => new(transport.OpenPublisher(name, Options));

        public ValueTask<MessageSubscriber> OpenSubscriberAsync(ChannelName name, StartPosition startAt = StartPosition.Now, CancellationToken cancellationToken = default)
            => new(transport.OpenSubscriber(name, Options, startAt));

        public ValueTask DisposeAsync() => transport.DisposeAsync();
    }
}
