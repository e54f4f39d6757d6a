namespace Otto.Queue;

// Cancelling a task, wherever it is: in this process, on a route, or running elsewhere.

internal sealed class TaskCanceller(QueueContext context, LocalCanceller local, RouteConnections routes, TaskEventBus events,
    TaskCompletion completion)
{
    internal async ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (!routes.IsOpen && !context.Lifetime.IsStopping) await routes.OpenAsync(cancellationToken).ConfigureAwait(false);
        if (local.TryRemoveDelayed(id) is { } removed)
        {
            completion.Cancelled(removed);
            return CancelOutcome.Removed;
        }

        if (await local.CancelAsync(id).ConfigureAwait(false) is var here and not CancelOutcome.NotFound) return here;
        foreach (RouteConnection route in routes.All)
        {
            if (route.Cancelable is not { } cancelable) continue;
            CancelOutcome there = await cancelable.CancelAsync(id, cancellationToken).ConfigureAwait(false);
            if (there == CancelOutcome.NotFound) continue;
            // Ours to publish: a worker elsewhere knows of the task, and only its own process reaches its handler.
            if (there == CancelOutcome.Requested && !local.Fire(id)) events.Publish(TaskEvent.Cancel(id), only: route.Name);
            if (there == CancelOutcome.Removed) completion.EndedOnRoute(id, ResultStatus.Cancelled, "", route.Name);
            return there;
        }

        return CancelOutcome.NotFound;
    }
}
