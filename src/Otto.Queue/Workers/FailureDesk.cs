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

    /// <summary>Decides about a failed attempt. Ends at once unless a route must be asked, or the waiting room is full: then the worker waits here.</summary>
    internal ValueTask SettleAsync(WaitingTask task, Exception error, bool decoded)
    {
        if (error is OperationCanceledException && lane.Abort.IsCancellationRequested)
        {
            Interrupted(task);
            return ValueTask.CompletedTask;
        }

        int limit = task.Binding.Retry.MaxAttempts;
        // The same bytes would fail the same way.
        if (!decoded || error is TaskSerializationException && task.Task is null) return BuryAsync(task, $"payload: {error.GetType().Name}: {error.Message}", error);
        if (task.AttemptsMade >= limit) return BuryAsync(task, $"attempt {task.AttemptsMade} of {limit}: {error.GetType().Name}: {error.Message}", error);

        TimeSpan delay = task.Binding.Retry.DelayAfter(task.AttemptsMade, Random.Shared.NextDouble());
        if (task.LeasedBy is not null)
        {
            // Given back, not before: its route counts the attempt and keeps the time, so neither depends on this process.
            if (!task.Lease.Abandon(countAttempt: true, delay))
            {
                lane.Log.LeaseEnded(task.Binding.Name, task.Id);
                return ValueTask.CompletedTask;
            }

            Retrying(task, delay, error);
            return ValueTask.CompletedTask;
        }

        Retrying(task, delay, error);
        // A stop does not wait for back-offs.
        if (lane.State != LaneState.Running) return PassOnAsync(task);
        return lane.Waiting.TryAdd(task, delay) ? ValueTask.CompletedTask : SitOutAsync(task, delay);
    }

    private void Retrying(WaitingTask task, TimeSpan delay, Exception error)
    {
        Interlocked.Increment(ref _retried);
        lane.Telemetry.Retried(lane, task.Binding);
        lane.Log.Retrying(task.Binding.Name, task.Id, task.AttemptsMade, task.Binding.Retry.MaxAttempts, delay.TotalMilliseconds, error);
    }

    private async ValueTask PassOnAsync(WaitingTask task)
    {
        if (!await lane.TryHandOverAsync(task, TimeSpan.Zero, lane.Abort).ConfigureAwait(false)) lane.Waiting.AddReady(task);
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

        lane.Waiting.AddReady(task);
    }

    // A stop broke into the attempt; that is not the task's fault, so it does not count.
    private void Interrupted(WaitingTask task)
    {
        if (task.LeasedBy is { } by)
        {
            if (task.Lease.Abandon(countAttempt: false)) lane.NoteHandedOver(by.Route.Route);
            return;
        }

        lane.Waiting.AddReady(new WaitingTask
        {
            Binding = task.Binding, Id = task.Id, Task = task.Task, AttemptsMade = task.AttemptsMade - 1, EnqueuedMicroseconds = task.EnqueuedMicroseconds, Trace = task.Trace,
        });
    }

    private ValueTask BuryAsync(WaitingTask task, string reason, Exception error)
    {
        if (task.LeasedBy is null) return BuryObjectAsync(task, reason, error);
        NoteBuried(task, reason, error, kept: task.Lease.DeadLetter(reason));
        return ValueTask.CompletedTask;
    }

    private void NoteBuried(WaitingTask task, string reason, Exception error, bool kept)
    {
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

    // A task that lived in this process only gets a place in the list of the nearest route that has one, where it can be looked at and requeued.
    private async ValueTask BuryObjectAsync(WaitingTask task, string reason, Exception error)
    {
        bool kept = false;
        foreach (RouteQueue route in lane.Routes)
        {
            try
            {
                ValueTask<bool> burying;
                // Attempts start at none: a requeued letter has them all again, and the reason names those made.
                EnvelopeBuffer buffer = task.Binding.Write(task.Task!, new EnvelopeHeader { Id = task.Id, EnqueuedMicroseconds = task.EnqueuedMicroseconds, Trace = task.Trace });
                try
                {
                    if (buffer.Length > route.Channel.MaxMessageBytes) continue;
                    burying = route.Channel.BuryAsync(buffer.Written, reason);
                }
                finally
                {
                    buffer.Return();
                }

                if (kept = await burying.ConfigureAwait(false)) break;
            }
            catch (Exception e) when (e is TaskSerializationException or IOException or ObjectDisposedException)
            {
                lane.Log.WorkerTrouble(lane.Name, e);
            }
        }

        NoteBuried(task, reason, error, kept);
    }
}
