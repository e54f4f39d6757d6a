namespace Otto.Queue;

// Taking a task back, wherever it is: waiting here, in the ring, running here, on a route, or running elsewhere.

internal sealed class TaskCanceller(Lane lane)
{
    private static readonly TimeSpan Blink = TimeSpan.FromMilliseconds(1);

    internal async ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (!lane.IsOpen && lane.State < QueueState.Draining) await lane.OpenAsync(cancellationToken).ConfigureAwait(false);
        if (lane.Waiting.TryRemove(id) is { } waiting)
        {
            lane.Failures.NoteCancelled(waiting);
            return CancelOutcome.Removed;
        }

        if (lane.HandlesAny && await CancelHereAsync(id).ConfigureAwait(false) is var here and not CancelOutcome.NotFound) return here;
        foreach (RouteConnection route in lane.Routes)
        {
            CancelOutcome there = await route.Channel.CancelAsync(id, cancellationToken).ConfigureAwait(false);
            if (there == CancelOutcome.NotFound) continue;
            // Ours to tell: a worker elsewhere knows of the task, and only its own process reaches its handler.
            if (there == CancelOutcome.Requested && !lane.FireRunning(id, CancellationCause.Cancelled)) lane.Notices.Tell(TaskEvent.Cancel(id), only: route.Route.Route);
            if (there == CancelOutcome.Removed) lane.Results.Failed(id, ResultStatus.Cancelled, "", route);
            return there;
        }

        return CancelOutcome.NotFound;
    }

    // The request stands before we look, and a worker looks for requests after it can be seen to run: one of us sees the other.
    private async ValueTask<CancelOutcome> CancelHereAsync(TaskId id)
    {
        lane.Cancels.Add(id);
        for (int look = 0; ; look++)
        {
            if (lane.FireRunning(id, CancellationCause.Cancelled))
            {
                lane.Cancels.TryTake(id);
                return CancelOutcome.Requested;
            }

            if (id.High == lane.Owner.Producer && lane.Ring.Holds(id.Low)) return CancelOutcome.Removed;
            // Taken out of the ring a moment ago, and not yet running: it will be, or has passed over the request.
            if (look == 2) return lane.Cancels.TryTake(id) ? CancelOutcome.NotFound : CancelOutcome.Removed;
            await Task.Delay(Blink).ConfigureAwait(false);
        }
    }
}
