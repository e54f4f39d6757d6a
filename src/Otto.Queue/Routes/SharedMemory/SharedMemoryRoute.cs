using System.Diagnostics;
using Otto.Ipc;
using Otto.Ipc.Mmap;
using Otto.Ipc.Mmap.Inspection;

namespace Otto.Queue;

// Shared memory as a route for tasks: one segment a queue, opened by name.

internal sealed class SharedMemoryRoute(SharedMemoryOptions options) : ITaskRoute
{
    private static readonly TimeSpan PlacePatience = TimeSpan.FromSeconds(10), PlacePause = TimeSpan.FromMilliseconds(20);

    /// <summary>Gets the route; none if it is switched off or this system has no shared memory for it.</summary>
    public static IEnumerable<SharedMemoryRoute> For(SharedMemoryOptions options) =>
        options.Enabled && !IsMissing(options) ? [new SharedMemoryRoute(options)] : [];

    /// <summary>Whether the route is wanted and this system does not have it.</summary>
    public static bool IsMissing(SharedMemoryOptions options) =>
        options is { Enabled: true, Transport: null } && !MmapTransport.IsSupported;

    public RouteName Name => RouteName.SharedMemory;

    public RouteReach Reach => RouteReach.Machine;

    public Durability Durability => Durability.Process;

    public int Weight => options.Weight;

    public QueueFullMode FullMode => options.FullMode;

    public string NoWorkerReason => RouteReason.SegmentKeeps;

    public async ValueTask<TaskChannel> OpenAsync(ChannelName queue, CancellationToken cancellationToken)
    {
        if (options.Transport is { } other)
            return TaskChannels.Over(await other.OpenQueueAsync(queue, cancellationToken).ConfigureAwait(false), other as ITopicTransport);
        MmapTransport transport = new(new MmapTransportOptions { Directory = options.Directory });
        EventTopics events = new(transport);
        (WorkQueue opened, string? warning) = await OpenWhenThereIsAPlaceAsync(transport, queue, cancellationToken).ConfigureAwait(false);
        return new WorkQueueChannel(opened, new TopicEventPublisher(events, queue), new TopicEventSubscriber(events, queue),
            () => OpenOrReplace(transport, queue, out _), options.ResultRetention) { Warning = warning };
    }

    private async ValueTask<(WorkQueue Opened, string? Warning)> OpenWhenThereIsAPlaceAsync(MmapTransport transport, ChannelName queue,
        CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        while (true)
        {
            try
            {
                return (OpenOrReplace(transport, queue, out string? warning), warning);
            }
            catch (ParticipantLimitException) when (Stopwatch.GetElapsedTime(start) < PlacePatience)
            {
                await Task.Delay(PlacePause, cancellationToken).ConfigureAwait(false);
            }
        }
    }

    // Other options at the next start are no reason not to start: a segment that nobody has open and that holds nothing is made anew, and
    // any other goes on as it is.
    private WorkQueue OpenOrReplace(MmapTransport transport, ChannelName queue, out string? warning)
    {
        warning = null;
        MmapQueueOptions wanted = new()
        {
            Slots = options.Slots, SlotBytes = options.SlotBytes, MaxLoanBytes = options.MaxLoanBytes, MaxAttempts = options.MaxAttempts,
            MaxParticipants = options.MaxParticipants, MaxDeadLetters = options.MaxDeadLetters,
            DeadLetterRetention = options.DeadLetterRetention,
        };
        try
        {
            return transport.OpenQueue(queue, wanted);
        }
        catch (SegmentMismatchException)
        {
            new MmapInspector(new MmapTransportOptions { Directory = options.Directory }).Clean(new CleanOptions { Name = queue.Value });
        }

        try
        {
            return transport.OpenQueue(queue, wanted);
        }
        catch (SegmentMismatchException e)
        {
            WorkQueue asItIs = transport.OpenQueue(queue, wanted with { Slots = null, SlotBytes = null, MaxAttempts = null });
            warning = $"{e.Message}. It is used as it is, because it is in use or holds messages; it is made anew with these options at "
                + $"a start "
                + "at which no process has it open and it is empty";
            return asItIs;
        }
    }

    // Small rings for many publishers: a subscriber that falls behind loses the oldest events, which are hints, and holds nobody up.
    private sealed class EventTopics(MmapTransport transport) : ITopicTransport
    {
        private static readonly MmapTopicOptions Options =
            new() { Capacity = 1 << 13, MaxPublishers = 64, MaxSubscribers = 512, Policy = SlowSubscriberPolicy.Overwrite };

        public string Name => transport.Name;

        public TransportTraits Traits => transport.Traits;

        public ValueTask<MessagePublisher> OpenPublisherAsync(ChannelName name, CancellationToken cancellationToken = default) =>
            new(transport.OpenPublisher(name, Options));

        public ValueTask<MessageSubscriber> OpenSubscriberAsync(ChannelName name, StartPosition startAt = StartPosition.Now,
            CancellationToken cancellationToken = default)
            => new(transport.OpenSubscriber(name, Options, startAt));

        public ValueTask DisposeAsync() => transport.DisposeAsync();
    }
}
