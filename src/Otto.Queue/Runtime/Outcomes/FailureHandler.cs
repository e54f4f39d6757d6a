using Otto.Ipc;

namespace Otto.Queue;

// What becomes of a failed attempt: again after a pause, or among the dead letters of the task's route. Never less durable than it was.

internal sealed class FailureHandler(QueueContext context, TaskCompletion completion, LocalQueue local, RouteConnections routes,
    HandOff handOff, ServicesStatus services)
{
    private readonly UnreadOffers _offers = new(context.Clock.Provider);
    private long _retried;
    private long _deadLettered;
    private long _lost;
    private long _lastRetryDue;

    internal long Retried => Volatile.Read(ref _retried);

    internal long DeadLettered => Volatile.Read(ref _deadLettered);

    internal long Lost => Volatile.Read(ref _lost);

    /// <summary>When the last task that a route keeps for its next attempt is due, by the clock's timestamp; 0 if
    /// there was none.</summary>
    internal long LastRetryDue => Volatile.Read(ref _lastRetryDue);

    /// <summary>Decides about a failed attempt. Ends at once unless a route must be asked, or too many tasks are
    /// delayed: then the worker waits here.</summary>
    /// <param name="task">The task, its attempts counted.</param>
    /// <param name="error">What its handler threw.</param>
    /// <param name="cancelled">Whether its token had fired because it was cancelled.</param>
    /// <param name="decoded">Whether the task was read from its bytes, so that the handler is what failed.</param>
    internal ValueTask HandleAsync(DelayedTask task, Exception error, bool cancelled, bool decoded)
    {
        if (cancelled)
        {
            // Whatever it threw: nobody wants it done any more.
            EndCancelled(task);
            return ValueTask.CompletedTask;
        }

        if (services.AreGone)
        {
            if (context.Lifetime.NoteServicesGone()) context.Log.ServicesGone(context.Name, error);
            routes.StopConsuming();
            Interrupted(task);
            return ValueTask.CompletedTask;
        }

        if (error is OperationCanceledException && context.Lifetime.Abort.IsCancellationRequested)
        {
            Interrupted(task);
            return ValueTask.CompletedTask;
        }

        if (task.Repeats)
        {
            // Its next time is its next try.
            context.Log.RecurringFailed(task.Registration.Name, task.Id, task.Metadata!.RepeatInterval.TotalSeconds,
                BoundedError.ForLog(error));
            completion.EndOccurrence(task, cancelled: false);
            return ValueTask.CompletedTask;
        }

        if (error is TaskRejectedException)
            return DeadLetterAsync(task, $"rejected: {BoundedError.Text(error)}", error);

        int limit = task.Registration.Retry.MaxAttempts;
        // The same bytes would fail the same way here, but a worker of another version may read them.
        if (!decoded || error is TaskSerializationException && task.Task is null)
        {
            string reason = $"payload: {BoundedError.Text(error)}", history = "";
            if (task.Held is { } unread && TryOffer(unread.Route, task.Id, reason, unread.Abandon, ref history))
                return ValueTask.CompletedTask;
            return DeadLetterAsync(task, WithHistory(reason, history), error);
        }

        if (task.AttemptsMade - task.UnprovenAttempts >= limit)
            return DeadLetterAsync(task, $"attempt {task.AttemptsMade} of {limit}: {BoundedError.Text(error)}", error);

        TimeSpan delay = task.Registration.Retry.DelayAfter(task.AttemptsMade, Random.Shared.NextDouble());
        if (task.Held is { } held)
        {
            NoteRetry(delay);
            // Given back, not before: its route counts the attempt and keeps the time, so neither depends on this process.
            if (held.Abandon(countAttempt: true, delay)) Retrying(task, delay, error);
            else completion.LeaseEnded(task.Registration.Name, task.Id);
            return ValueTask.CompletedTask;
        }

        Retrying(task, delay, error);
        // A stop does not wait for back-offs.
        if (context.Lifetime.State != QueueState.Running) return PassOnAsync(task);
        return local.Delayed.TryAdd(task, delay) ? ValueTask.CompletedTask : SitOutAsync(task, delay);
    }

    /// <summary>Ends a task that is not wanted any more.</summary>
    internal void EndCancelled(DelayedTask task) => completion.EndCancelled(task);

    private void NoteRetry(TimeSpan delay)
    {
        long due = context.Clock.TimestampAfter(delay), last;
        while (due > (last = LastRetryDue) && Interlocked.CompareExchange(ref _lastRetryDue, due, last) != last)
        {
        }
    }

    private void Retrying(DelayedTask task, TimeSpan delay, Exception error)
    {
        Interlocked.Increment(ref _retried);
        context.Telemetry.Retried(context.NameTag, task.Registration.NameTag);
        context.Log.Retrying(task.Registration.Name, task.Id, task.AttemptsMade, task.Registration.Retry.MaxAttempts,
            delay.TotalMilliseconds, BoundedError.ForLog(error));
    }

    private async ValueTask PassOnAsync(DelayedTask task)
    {
        if (!await handOff.TryAsync(task, TimeSpan.Zero, context.Lifetime.Abort).ConfigureAwait(false)) local.Delayed.AddReady(task);
    }

    // The bound on delayed tasks: beyond it the worker itself waits, and with it whoever fills the queue.
    private async ValueTask SitOutAsync(DelayedTask task, TimeSpan delay)
    {
        try
        {
            await Task.Delay(delay, context.Clock.Provider, context.Lifetime.Stopping).ConfigureAwait(false);
        }
        catch (OperationCanceledException)
        {
            // A stop: at once, then.
        }

        local.Delayed.AddReady(task);
    }

    // A stop broke into the attempt, or the end of the services; that is not the task's fault, so it does not count.
    private void Interrupted(DelayedTask task)
    {
        if (task.Held is not { } held) local.Delayed.AddReady(task with { AttemptsMade = task.AttemptsMade - 1 });
        else if (held.Abandon(countAttempt: false)) handOff.Count(held.Route);
    }

    private ValueTask DeadLetterAsync(DelayedTask task, string reason, Exception error)
    {
        if (task.Held is not { } held) return DeadLetterObjectAsync(task, reason, error);
        // Where the lease has ended another worker has the task, and it is theirs to say what became of it.
        if (held.DeadLetter(reason)) GaveUp(task, reason, error, kept: true);
        else completion.LeaseEnded(task.Registration.Name, task.Id);
        return ValueTask.CompletedTask;
    }

    private void GaveUp(DelayedTask task, string reason, Exception error, bool kept)
    {
        if (kept) Interlocked.Increment(ref _deadLettered);
        else Interlocked.Increment(ref _lost);
        context.Telemetry.Dead(context.NameTag, task.Registration.NameTag);
        if (kept) context.Log.GaveUp(task.Registration.Name, task.Id, reason, BoundedError.ForLog(error));
        else context.Log.GaveUpUnkept(task.Registration.Name, task.Id, reason, BoundedError.ForLog(error));
        completion.Ended(task, ResultStatus.Failed, reason);
    }

    /// <summary>Gives a message that cannot be read here to others, or gives it up.</summary>
    /// <param name="route">The route it came by.</param>
    /// <param name="lease">The message.</param>
    /// <param name="reason">Why it cannot be read.</param>
    /// <param name="registration">Its handler here, if that is known.</param>
    /// <param name="header">What was read of it.</param>
    internal void OfferUnread(RouteName route, WorkLease lease, string reason, TaskRegistration? registration = null,
        in EnvelopeHeader header = default)
    {
        string history = "";
        TaskId id = EnvelopeReader.IdOf(lease.Payload.Span);
        // Another program may give no ids: its messages are told apart by what they say.
        if (id == default) id = new TaskId(EnvelopeExtensions.Digest(lease.Payload.Span), (ulong)lease.Payload.Length);
        if (!TryOffer(route, id, reason, lease.Abandon, ref history))
            DeadLetterUnread(route, lease, WithHistory(reason, history), registration, header);
    }

    // Behind the first word, since a long reason is cut at its end.
    private static string WithHistory(string reason, string history) =>
        reason.IndexOf(": ", StringComparison.Ordinal) is >= 0 and var at ? reason.Insert(at + 2, history) : history + reason;

    private bool TryOffer(RouteName route, TaskId id, string reason, Func<bool, TimeSpan, bool> abandon, ref string history)
    {
        int others = routes.Find(route)?.CountOthers() ?? 0;
        if (!_offers.TryOffer(id, others, out TimeSpan pause, out history)) return false;
        NoteRetry(pause);
        context.Log.OffersUnread(context.Name, id, route, reason, pause.TotalSeconds);
        abandon(false, pause);
        return true;
    }

    /// <summary>Puts a message that cannot be run here among the dead letters, and reports that to its
    /// producer.</summary>
    internal void DeadLetterUnread(RouteName route, in WorkLease lease, string reason, TaskRegistration? registration = null,
        in EnvelopeHeader header = default)
    {
        if (!lease.DeadLetter(reason)) return; // Somebody else's by now.
        Interlocked.Increment(ref _deadLettered);
        context.Log.Unreadable(context.Name, route, reason);
        if (registration is not null) context.Telemetry.Dead(context.NameTag, registration.NameTag);
        if (header.Metadata is { TrackResult: true }) completion.EndedOnRoute(header.Id, ResultStatus.Failed, reason, route);
    }

    // A task that was only an object gets a place in the list of the nearest route that has one, where it can be inspected and requeued.
    private async ValueTask DeadLetterObjectAsync(DelayedTask task, string reason, Exception error)
    {
        bool kept = false;
        foreach (RouteConnection route in routes.All)
        {
            if (route.DeadLetters is not { } letters) continue;
            try
            {
                ValueTask<bool> deadLettering;
                // Attempts start at none: a requeued letter has them all again, and the reason names those made.
                EnvelopeBuffer buffer = task.Registration.Write(task.Task!, task.Header(attemptsBefore: 0));
                try
                {
                    if (buffer.Length > route.Channel.MaxMessageBytes) continue;
                    deadLettering = letters.DeadLetterAsync(buffer.Written, reason);
                }
                finally
                {
                    buffer.Return();
                }

                if (kept = await deadLettering.ConfigureAwait(false)) break;
            }
            catch (Exception e) when (e is TaskSerializationException or IOException or ObjectDisposedException)
            {
                context.Log.WorkerError(context.Name, e);
            }
        }

        GaveUp(task, reason, error, kept);
    }
}
