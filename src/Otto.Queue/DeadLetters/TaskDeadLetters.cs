using System.Text;
using Otto.Ipc;

namespace Otto.Queue;

// The lists of given-up tasks, seen as one, whichever route they lie on.

/// <summary>The tasks that were given up, on every route: look at them, try them again, or drop them.</summary>
/// <remarks>Safe for use by any number of threads, and by several processes at once: each letter is requeued or dropped once.</remarks>
public sealed class TaskDeadLetters
{
    private readonly TaskQueue _tasks;

    internal TaskDeadLetters(TaskQueue tasks) => _tasks = tasks;

    /// <summary>Copies out dead letters.</summary>
    /// <param name="queue">Whose; <see langword="null"/> for those of every queue.</param>
    /// <param name="max">The most from each list.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The letters.</returns>
    /// <exception cref="ArgumentException">There is no such queue; the message lists those there are.</exception>
    public async ValueTask<IReadOnlyList<DeadLetteredTask>> ListAsync(string? queue = null, int max = 100, CancellationToken cancellationToken = default)
    {
        List<DeadLetteredTask> found = [];
        foreach (Lane lane in queue is null ? _tasks.Lanes : [_tasks.FindLane(queue)])
        {
            if (!lane.IsOpen) await lane.OpenAsync(cancellationToken).ConfigureAwait(false);
            foreach (RouteConnection route in lane.Routes)
                foreach (DeadLetter letter in await route.Channel.GetDeadLettersAsync(max, cancellationToken).ConfigureAwait(false)) found.Add(Read(lane, route, letter));
        }

        return found;
    }

    /// <summary>Makes a task ready again, its attempts forgotten.</summary>
    /// <param name="task">Which one, as listed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> where it is no longer among the dead.</returns>
    public async ValueTask<bool> RequeueAsync(DeadLetteredTask task, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(task);
        RouteConnection route = await FindAsync(task, cancellationToken).ConfigureAwait(false);
        return await route.Channel.RequeueAsync(task.Letter, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Removes a task for good.</summary>
    /// <param name="task">Which one, as listed.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> where it is no longer among the dead.</returns>
    public async ValueTask<bool> DeleteAsync(DeadLetteredTask task, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(task);
        RouteConnection route = await FindAsync(task, cancellationToken).ConfigureAwait(false);
        return await route.Channel.DeleteAsync(task.Letter, cancellationToken).ConfigureAwait(false);
    }

    private static DeadLetteredTask Read(Lane lane, RouteConnection route, DeadLetter letter)
    {
        bool readable = EnvelopeHeader.Read(letter.Payload.Span, out EnvelopeHeader header, out ReadOnlySpan<byte> name, out int payloadAt) is null;
        return new DeadLetteredTask(
            lane.Name, route.Route.Route, readable ? Encoding.UTF8.GetString(name) : "", header.Id, readable ? letter.Payload[payloadAt..] : letter.Payload,
            header.AttemptsBefore + letter.Attempts, letter.Reason, letter.Id);
    }

    private async ValueTask<RouteConnection> FindAsync(DeadLetteredTask task, CancellationToken cancellationToken)
    {
        Lane lane = _tasks.FindLane(task.Queue);
        if (!lane.IsOpen) await lane.OpenAsync(cancellationToken).ConfigureAwait(false);
        foreach (RouteConnection route in lane.Routes)
            if (route.Route.Route == task.Route) return route;
        throw new ArgumentException($"queue '{task.Queue}' has no route {task.Route} here", nameof(task));
    }
}
