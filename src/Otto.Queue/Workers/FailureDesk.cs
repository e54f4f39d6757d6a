namespace Otto.Queue;

// What becomes of a failed attempt: again after a pause, or among the dead letters of the task's route. Never less durable than it was.

internal sealed class FailureDesk(Lane lane)
{
    private long _retried;
    private long _buried;
    private long _lost;

    internal long Retried => Volatile.Read(ref _retried);

    internal long Buried => Volatile.Read(ref _buried);

    internal long Lost => Volatile.Read(ref _lost);

    /// <summary>Decides about a failed attempt. Ends at once unless the waiting room is full: then the worker waits here.</summary>
    internal ValueTask SettleAsync(WaitingTask task, Exception error, bool decoded)
    {
        if (error is OperationCanceledException && lane.Abort.IsCancellationRequested)
        {
            Interrupted(task);
            return ValueTask.CompletedTask;
        }

        int limit = task.Binding.Retry.MaxAttempts;
        if (!decoded || error is TaskSerializationException && task.Task is null)
        {
            // The same bytes would fail the same way.
            Bury(task, $"payload: {error.GetType().Name}: {error.Message}", error);
            return ValueTask.CompletedTask;
        }

        if (task.AttemptsMade >= limit)
        {
            Bury(task, $"attempt {task.AttemptsMade} of {limit}: {error.GetType().Name}: {error.Message}", error);
            return ValueTask.CompletedTask;
        }

        Interlocked.Increment(ref _retried);
        lane.Telemetry.Retried(lane, task.Binding);
        if (lane.State != LaneState.Running)
        {
            // A stop does not wait for back-offs.
            if (task.LeasedBy is not null) task.Lease.Abandon(countAttempt: true);
            else if (!lane.TryHandOver(task)) lane.Waiting.AddReady(task);
            return ValueTask.CompletedTask;
        }

        TimeSpan delay = task.Binding.Retry.DelayAfter(task.AttemptsMade, Random.Shared.NextDouble());
        lane.Log.Retrying(task.Binding.Name, task.Id, task.AttemptsMade, limit, delay.TotalMilliseconds, error);
        return lane.Waiting.TryAdd(task, delay) ? ValueTask.CompletedTask : SitOutAsync(task, delay);
    }

    // The bound on waiting tasks: when the room is full the worker's place is what waits, and with it whoever fills the queue.
    private async ValueTask SitOutAsync(WaitingTask task, TimeSpan delay)
    {
        try
        {
            await Task.Delay(delay, lane.Clock.Provider, lane.Stopping).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // A stop: at once, then.
        }

        if (task.LeasedBy is not null) task.Lease.Abandon(countAttempt: true);
        else lane.Waiting.AddReady(task);
    }

    // A stop broke into the attempt; that is not the task's fault, so it does not count.
    private void Interrupted(WaitingTask task)
    {
        if (task.LeasedBy is { } by)
        {
            task.Lease.Abandon(countAttempt: false);
            lane.NoteHandedOver(by.Route.Route);
            return;
        }

        lane.Waiting.AddReady(new WaitingTask
        {
            Binding = task.Binding, Id = task.Id, Task = task.Task, AttemptsMade = task.AttemptsMade - 1, EnqueuedMicroseconds = task.EnqueuedMicroseconds, Trace = task.Trace,
        });
    }

    private void Bury(WaitingTask task, string reason, Exception error)
    {
        bool kept = task.LeasedBy is not null ? task.Lease.DeadLetter(reason) : TryBuryObject(task, reason);
        if (kept) Interlocked.Increment(ref _buried);
        else Interlocked.Increment(ref _lost);
        lane.Telemetry.Dead(lane, task.Binding);
        if (kept) lane.Log.GaveUp(task.Binding.Name, task.Id, reason, error);
        else lane.Log.GaveUpUnkept(task.Binding.Name, task.Id, reason, error);
    }

    /// <summary>Puts bytes that are no task of ours among the dead letters.</summary>
    internal void BuryMessage(RouteQueue by, in Otto.Ipc.WorkLease lease, string reason)
    {
        lease.DeadLetter(reason);
        Interlocked.Increment(ref _buried);
        lane.Log.Unreadable(lane.Name, by.Route.Route, reason);
    }

    // A task that lived in this process only gets a place in the segment's list, where it can be looked at and requeued.
    private bool TryBuryObject(WaitingTask task, string reason)
    {
        foreach (RouteQueue route in lane.Routes)
        {
            try
            {
                // Attempts start at none: a requeued letter has them all again, and the reason names those made.
                EnvelopeBuffer buffer = task.Binding.Write(task.Task!, new EnvelopeHeader { Id = task.Id, EnqueuedMicroseconds = task.EnqueuedMicroseconds, Trace = task.Trace });
                try
                {
                    if (buffer.Length <= route.Queue.MaxMessageBytes && route.Queue.TryKeep(buffer.Written, out Otto.Ipc.WorkLease lease))
                        return lease.DeadLetter(reason);
                }
                finally
                {
                    buffer.Return();
                }
            }
            catch (Exception e) when (e is TaskSerializationException or IOException or ObjectDisposedException)
            {
                lane.Log.WorkerTrouble(lane.Name, e);
            }
        }

        return false;
    }
}
