namespace Otto.Queue;

// What becomes of a failed attempt: again after a pause, or among the dead letters of the task's route. Never less durable than it was.

internal sealed class FailureHandler(Lane lane)
{
    private long _retried;
    private long _buried;
    private long _lost;
    private long _cancelled;

    internal long Retried => Volatile.Read(ref _retried);

    internal long Buried => Volatile.Read(ref _buried);

    internal long Cancelled => Volatile.Read(ref _cancelled);

    internal long Lost => Volatile.Read(ref _lost);

    /// <summary>Decides about a failed attempt. Ends at once unless a route must be asked, or the waiting room is full: then the worker waits here.</summary>
    /// <param name="task">The task, its attempts counted.</param>
    /// <param name="error">What its handler threw.</param>
    /// <param name="end">Why its token had fired, if it had.</param>
    /// <param name="decoded">Whether the task was read from its bytes, so that the handler is what failed.</param>
    internal ValueTask HandleAsync(DelayedTask task, Exception error, CancellationCause end, bool decoded)
    {
        if (end == CancellationCause.Cancelled)
        {
            // Whatever it threw: nobody wants it done any more.
            if (task.LeasedBy is not null) task.Lease.Complete();
            NoteCancelled(task);
            return ValueTask.CompletedTask;
        }

        if (error is OperationCanceledException && lane.Abort.IsCancellationRequested)
        {
            Interrupted(task);
            return ValueTask.CompletedTask;
        }

        if (task.Terms is { } terms && terms.Every > TimeSpan.Zero)
        {
            // Its next time is its next try.
            lane.Log.RecurringFailed(task.Binding.Name, task.Id, terms.Every.TotalSeconds, error);
            ComeAgain(task);
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
        if (lane.State != QueueState.Running) return PassOnAsync(task);
        return lane.Waiting.TryAdd(task, delay) ? ValueTask.CompletedTask : SitOutAsync(task, delay);
    }

    /// <summary>Lets a task that recurs wait for its next time, where it lives.</summary>
    internal void ComeAgain(DelayedTask task)
    {
        TimeSpan every = task.Terms!.Every;
        if (task.LeasedBy is null)
            lane.Waiting.TryAdd(new DelayedTask
            {
                Binding = task.Binding, Id = task.Id, Task = task.Task, EnqueuedMicroseconds = task.EnqueuedMicroseconds, Trace = task.Trace, Terms = task.Terms, MustWait = true,
            }, every, whateverTheBound: true);
        else if (!task.Lease.Repeat(every)) lane.Log.LeaseEnded(task.Binding.Name, task.Id);
    }

    /// <summary>Notes that a task ended because somebody cancelled it.</summary>
    internal void NoteCancelled(DelayedTask task)
    {
        Interlocked.Increment(ref _cancelled);
        lane.Telemetry.Cancelled(lane, task.Binding);
        lane.Log.Cancelled(task.Binding.Name, task.Id);
        End(task, ResultStatus.Cancelled, "");
    }

    private void End(DelayedTask task, ResultStatus status, string reason)
    {
        if (task.Terms is not { } terms) return;
        if (terms.WantsResult) lane.Results.Failed(task.Id, status, reason, task.LeasedBy);
        if (terms.KeyIsHere) lane.ReleaseKey(terms.Key!, task.Id);
    }

    private void Retrying(DelayedTask task, TimeSpan delay, Exception error)
    {
        Interlocked.Increment(ref _retried);
        lane.Telemetry.Retried(lane, task.Binding);
        lane.Log.Retrying(task.Binding.Name, task.Id, task.AttemptsMade, task.Binding.Retry.MaxAttempts, delay.TotalMilliseconds, error);
    }

    private async ValueTask PassOnAsync(DelayedTask task)
    {
        if (!await lane.HandOff.TryAsync(task, TimeSpan.Zero, lane.Abort).ConfigureAwait(false)) lane.Waiting.AddReady(task);
    }

    // The bound on waiting tasks: when the room is full the worker's place is what waits, and with it whoever fills the queue.
    private async ValueTask SitOutAsync(DelayedTask task, TimeSpan delay)
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
    private void Interrupted(DelayedTask task)
    {
        if (task.LeasedBy is { } by)
        {
            if (task.Lease.Abandon(countAttempt: false)) lane.HandOff.Note(by.Route.Route);
            return;
        }

        lane.Waiting.AddReady(new DelayedTask
        {
            Binding = task.Binding, Id = task.Id, Task = task.Task, AttemptsMade = task.AttemptsMade - 1, EnqueuedMicroseconds = task.EnqueuedMicroseconds,
            Trace = task.Trace, Terms = task.Terms,
        });
    }

    private ValueTask BuryAsync(DelayedTask task, string reason, Exception error)
    {
        if (task.LeasedBy is null) return BuryObjectAsync(task, reason, error);
        // Where the lease has ended another worker has the task, and it is theirs to say what became of it.
        if (task.Lease.DeadLetter(reason)) NoteBuried(task, reason, error, kept: true);
        else lane.Log.LeaseEnded(task.Binding.Name, task.Id);
        return ValueTask.CompletedTask;
    }

    private void NoteBuried(DelayedTask task, string reason, Exception error, bool kept)
    {
        if (kept) Interlocked.Increment(ref _buried);
        else Interlocked.Increment(ref _lost);
        lane.Telemetry.Dead(lane, task.Binding);
        if (kept) lane.Log.GaveUp(task.Binding.Name, task.Id, reason, error);
        else lane.Log.GaveUpUnkept(task.Binding.Name, task.Id, reason, error);
        End(task, ResultStatus.Failed, reason);
    }

    /// <summary>Puts a message that cannot be run here among the dead letters, and tells whoever waits for its result.</summary>
    internal void BuryUnread(RouteConnection by, in Otto.Ipc.WorkLease lease, string reason, TaskBinding? binding = null, in EnvelopeHeader header = default)
    {
        if (!lease.DeadLetter(reason)) return; // Somebody else's by now.
        Interlocked.Increment(ref _buried);
        lane.Log.Unreadable(lane.Name, by.Route.Route, reason);
        if (binding is not null) lane.Telemetry.Dead(lane, binding);
        if (header.WantsResult) lane.Results.Failed(header.Id, ResultStatus.Failed, reason, by);
    }

    // A task that lived in this process only gets a place in the list of the nearest route that has one, where it can be looked at and requeued.
    private async ValueTask BuryObjectAsync(DelayedTask task, string reason, Exception error)
    {
        bool kept = false;
        foreach (RouteConnection route in lane.Routes)
        {
            try
            {
                ValueTask<bool> burying;
                // Attempts start at none: a requeued letter has them all again, and the reason names those made.
                EnvelopeBuffer buffer = task.Binding.Write(task.Task!, task.Header(attemptsBefore: 0));
                try
                {
                    if (buffer.Length > route.Channel.MaxMessageBytes) continue;
                    burying = route.Channel.DeadLetterAsync(buffer.Written, reason);
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
