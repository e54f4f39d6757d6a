using Otto.Ipc;

namespace Otto.Queue;

// Any transport that has work queues can carry tasks: what a route of another package needs to join.

/// <summary>Makes task channels of the queues of a transport.</summary>
public static class TaskChannels
{
    /// <summary>Makes a channel of a work queue in shared memory, or any other.</summary>
    /// <param name="queue">The queue; disposed with the channel. Keys and cancelling need one that can be searched
    /// (<see cref="SearchableWorkQueue"/>).</param>
    /// <param name="events">Carries events between processes: cancels, results and progress. <see langword="null"/> if
    /// there is none.</param>
    /// <returns>The channel.</returns>
    public static TaskChannel Over(WorkQueue queue, ITopicTransport? events = null)
    {
        ArgumentNullException.ThrowIfNull(queue);
        return events is null ? new WorkQueueChannel(queue)
            : new WorkQueueChannel(queue, new TopicEventPublisher(events, queue.Name), new TopicEventSubscriber(events, queue.Name));
    }
}
