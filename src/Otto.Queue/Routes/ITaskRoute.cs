using Microsoft.Extensions.Configuration;
using Otto.Ipc;

namespace Otto.Queue;

// The seam at which a further route joins, as Redis does: whatever can open a channel by a queue's name can carry tasks.

/// <summary>A route that leaves this process. Implement it to carry tasks by another way, and add it with
/// <see cref="TaskQueueOptions.AddRoute"/>.</summary>
/// <remarks>
/// Routes are tried in the order of <see cref="Reach"/>, the nearest first. Messages are envelopes as documented in
/// <c>docs/envelope.md</c>.
/// </remarks>
public interface ITaskRoute
{
    /// <summary>Which route this is; each name can be present once.</summary>
    RouteName Name { get; }

    /// <summary>Which workers it reaches: the nearest route is tried first.</summary>
    RouteReach Reach { get; }

    /// <summary>What a task survives once this route has accepted it.</summary>
    Durability Durability { get; }

    /// <summary>How many tasks in a row each worker takes from this route before the next has its turn; at least
    /// 1.</summary>
    int Weight { get; }

    /// <summary>What a producer meets where this route is full.</summary>
    QueueFullMode FullMode { get; }

    /// <summary>Why a task is given to this route although no worker is known there, for receipts.</summary>
    string NoWorkerReason { get; }

    /// <summary>Reads the route's own section of the configuration, before it is opened.</summary>
    /// <param name="section">The section, named as the route; it may be empty. A key that is not known is to be refused
    /// with an <see cref="ArgumentException"/>.</param>
    void Configure(IConfiguration section)
    {
    }

    /// <summary>Opens the queue of that name on this route. Called once a queue; the caller disposes it.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="cancellationToken">Gives up opening.</param>
    /// <returns>The queue's channel. <see cref="TaskChannels.Over"/> makes one of any
    /// <see cref="WorkQueue"/>.</returns>
    ValueTask<TaskChannel> OpenAsync(ChannelName queue, CancellationToken cancellationToken);
}
