namespace Otto.Queue;

// Cancelling a task, wherever it is: in this process, on a route, or running elsewhere.

internal sealed class TaskCanceller(QueueContext context, LocalCanceller local, RouteConnections routes, TaskEventPublisher events,
    TaskCompletion completion)
{
    internal async ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (!routes.IsOpen && !context.Lifetime.IsStopping) await routes.OpenAsync(cancellationToken).ConfigureAwait(false);
        if (local.TryCancelDelayed(id)) return CancelOutcome.Removed;
        if (await local.CancelAsync(id).ConfigureAwait(false) is var here and not CancelOutcome.NotFound) return here;
        foreach (RouteConnection route in routes.All)
        {
            if (route.Cancelable is not { } cancelable) continue;
            CancelOutcome there = await cancelable.CancelAsync(id, cancellationToken).ConfigureAwait(false);
            if (there == CancelOutcome.NotFound) continue;
            // Ours to publish: a worker elsewhere knows of the task, and only its own process reaches its handler.
            if (there == CancelOutcome.Requested && !local.Fire(id)) events.Publish(TaskEvent.Cancel(id), only: route.Name);
            if (there == CancelOutcome.Removed) completion.CancelledOnRoute(id, route.Name);
            return there;
        }

        return CancelOutcome.NotFound;
    }
}

/// <summary>Cancels a task that is in this process: delayed here, in the ring, or running here.</summary>
internal sealed class LocalCanceller(QueueContext context, WorkerPool workers, LocalQueue local, CancelRequestSet requests,
    TaskCompletion completion)
{
    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(1);

    /// <summary>Takes a task out that is delayed here.</summary>
    internal bool TryCancelDelayed(TaskId id)
    {
        if ((local.Delayed.TryRemove(id) ?? local.Keys.TryRemoveNext(id)) is not { } removed) return false;
        completion.Cancelled(removed);
        return true;
    }

    /// <summary>Fires the token of a task that runs here.</summary>
    internal bool Fire(TaskId id) => workers.Fire(id, CancellationCause.Cancelled);

    /// <summary>Cancels a task that another process asks to cancel, if it is here or comes here.</summary>
    internal void OnRequested(TaskId id)
    {
        // Noted first: who takes the task a moment later, or again after a failure, passes over it.
        requests.AddReceived(id);
        if (Fire(id)) requests.TryTake(id);
    }

    // The request stands before we look, and a worker looks for requests after it can be seen to run: one of us sees the other.
    internal async ValueTask<CancelOutcome> CancelAsync(TaskId id)
    {
        if (!local.HandlesAny) return CancelOutcome.NotFound;
        requests.Add(id);
        for (int tries = 0; ; tries++)
        {
            if (Fire(id))
            {
                requests.TryTake(id);
                return CancelOutcome.Requested;
            }

            // One that repeats may have ended its run since the first look.
            if (TryCancelDelayed(id))
            {
                requests.TryTake(id);
                return CancelOutcome.Removed;
            }

            if (id.High == context.Ids.Producer && local.Ring.Holds(id.Low)) return CancelOutcome.Removed;
            // Taken out of the ring a moment ago, and not yet running: it will be, or has passed over the request.
            if (tries == 2) return requests.TryTake(id) ? CancelOutcome.NotFound : CancelOutcome.Removed;
            await Task.Delay(Pause).ConfigureAwait(false);
        }
    }
}
