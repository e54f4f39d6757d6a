namespace Otto.Queue;

// Cancelling a task, wherever it is: in this process, on a route, or running elsewhere.

internal sealed class TaskCanceller(QueueContext context, LocalCanceller local, RouteConnections routes, TaskEventPublisher events,
    TaskCompletion completion)
{
    internal async ValueTask<CancelOutcome> CancelAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (!routes.IsOpen && !context.Lifetime.IsStopping) await routes.OpenAsync(cancellationToken).ConfigureAwait(false);
        if (local.TryCancelDelayed(id)) return CancelOutcome.Removed;
        (CancelOutcome here, bool isOnRoute) = await local.CancelAsync(id).ConfigureAwait(false);
        if (here != CancelOutcome.NotFound)
        {
            if (isOnRoute) await NoteOnRouteAsync(id, cancellationToken).ConfigureAwait(false);
            return here;
        }

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

    // It does not run again after a death of this process, and another schedule can have its key.
    private async ValueTask NoteOnRouteAsync(TaskId id, CancellationToken cancellationToken)
    {
        foreach (RouteConnection route in routes.All)
        {
            try
            {
                if (route.Cancelable is { } cancelable
                    && await cancelable.CancelAsync(id, cancellationToken).ConfigureAwait(false) != CancelOutcome.NotFound) return;
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                context.Log.WorkerError(context.Name, e); // It is cancelled here all the same.
            }
        }
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

    /// <summary>Cancels a task that is here.</summary>
    /// <param name="id">The task.</param>
    /// <returns>The outcome, and whether the task is kept on a route too.</returns>
    internal async ValueTask<(CancelOutcome Outcome, bool IsOnRoute)> CancelAsync(TaskId id)
    {
        if (!local.HandlesAny) return (CancelOutcome.NotFound, false);
        // The request stands before we look, and a worker looks for requests after it can be seen to run: one of us sees the other.
        requests.Add(id);
        for (int tries = 0; ; tries++)
        {
            if (workers.Fire(id, CancellationCause.Cancelled, out string? key, out bool isOnRoute))
            {
                requests.TryTake(id);
                if (key is not null) local.Keys.NoteCancelled(key, id);
                return (CancelOutcome.Requested, isOnRoute);
            }

            // One that repeats may have ended its run since the first look.
            if (TryCancelDelayed(id))
            {
                requests.TryTake(id);
                return (CancelOutcome.Removed, false);
            }

            if (id.High == context.Ids.Producer && local.Ring.Holds(id.Low, out TaskMetadata? metadata))
            {
                if (metadata?.UniqueKey is { } waiting) local.Keys.NoteCancelled(waiting, id);
                return (CancelOutcome.Removed, metadata is { Held: not null });
            }

            // Taken out of the ring a moment ago, and not yet running: it will be, or has passed over the request.
            if (tries == 2) return (requests.TryTake(id) ? CancelOutcome.NotFound : CancelOutcome.Removed, false);
            await Task.Delay(Pause).ConfigureAwait(false);
        }
    }
}
