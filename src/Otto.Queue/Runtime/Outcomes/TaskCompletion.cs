using System.Text;

namespace Otto.Queue;

// The end of a task, well or not: its result is reported and its key is free again, or it repeats and is due once more. A result goes to
// the pending results if a caller here waits for it. Otherwise, it stays on the route that has the task, if that keeps results, and an
// event says so; else it is an event itself.

internal sealed class TaskCompletion(QueueContext context, PendingResults results, ResultCollector collector, RouteConnections routes,
    TaskEventPublisher events, ProgressHub progress, LocalQueue local, CancelRequestSet requests)
{
    private const int MostErrorText = 1000, MostShortText = 100;

    private long _cancelled;

    internal long CancelledCount => Volatile.Read(ref _cancelled);

    /// <summary>Ends a task that carries metadata and whose handler has returned; one that repeats is then due again
    /// (<see cref="EndOccurrence"/>).</summary>
    /// <param name="registration">Its registration.</param>
    /// <param name="id">The task.</param>
    /// <param name="metadata">What it carries.</param>
    /// <param name="result">What its handler returned.</param>
    /// <param name="route">The route that has its message; <see langword="null"/> if there is none.</param>
    internal void Succeeded(TaskRegistration registration, TaskId id, TaskMetadata metadata, object? result, RouteName? route)
    {
        if (metadata.TrackResult) ReportDone(registration, id, result, route);
        if (!metadata.Repeats && metadata.KeyIsLocal) local.ReleaseKey(metadata.UniqueKey!, id);
    }

    /// <summary>Ends a task whose route keeps its result: both in one step, so that neither
    /// is lost with this process.</summary>
    /// <param name="registration">Its registration.</param>
    /// <param name="id">The task.</param>
    /// <param name="result">What its handler returned.</param>
    /// <param name="held">Its message.</param>
    /// <returns><see langword="false"/> if the route keeps no result for it: nothing was done then.</returns>
    internal bool TryEndKept(TaskRegistration registration, TaskId id, object? result, HeldMessage held)
    {
        if (!MustKeep(id, held)) return false;
        EnvelopeBuffer buffer = EnvelopeBuffer.Rent();
        try
        {
            if (result is not null) registration.Invoker.WriteResult(result, buffer);
            EndKept(registration.Name, id, held, TaskEvent.Result(id, ResultStatus.Done, registration.Serializer.Format, buffer.Written));
        }
        catch (Exception e)
        {
            // The work is done, so it is not done again; whoever waits learns why there is no result.
            context.Log.ResultNotKept(context.Name, id, e);
            EndUnkept(registration.Name, id, held, e);
        }
        finally
        {
            buffer.Return();
        }

        return true;
    }

    /// <summary>Whether the result of a task stays on its route: a caller that waits here gets it at once.</summary>
    private bool MustKeep(TaskId id, HeldMessage held) =>
        routes.KeepsResults(held.Route) && !(id.High == context.Ids.Producer && results.IsAwaited(id));

    private void EndKept(string task, TaskId id, HeldMessage held, byte[] message)
    {
        if (!held.Complete(message))
        {
            LeaseEnded(task, id);
            return;
        }

        if (id.High == context.Ids.Producer) collector.OnReady(id, held.Route);
        else if (!routes.AnnouncesResults(held.Route)) events.Publish(TaskEvent.Ready(id), only: held.Route);
    }

    // Short enough to fit beside the task, because there may be no room for anything else; and the task ends in any case, because its work
    // is done.
    private void EndUnkept(string task, TaskId id, HeldMessage held, Exception error)
    {
        string reason = $"the task completed, but its result cannot be kept: {error.GetType().Name}";
        try
        {
            EndKept(task, id, held, Failure(id, reason.Length <= MostShortText ? reason : reason[..MostShortText]));
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            if (!held.Complete()) LeaseEnded(task, id);
        }
    }

    private static byte[] Failure(TaskId id, string error) => TaskEvent.Result(id, ResultStatus.Failed, 0,
        Encoding.UTF8.GetBytes(error.Length <= MostErrorText ? error : error[..MostErrorText]));

    /// <summary>Ends an occurrence of a task that repeats: it waits for its next time, where it is kept, unless it was
    /// cancelled.</summary>
    /// <param name="task">The task.</param>
    /// <param name="cancelled">Whether it was cancelled while it ran.</param>
    internal void EndOccurrence(DelayedTask task, bool cancelled)
    {
        TimeSpan interval = task.Metadata!.RepeatInterval;
        if (cancelled || task.Held is { IsCancelRequested: true })
        {
            EndCancelled(task);
        }
        else if (task.Held is { } held)
        {
            // Its route checks for a cancel that comes meanwhile.
            if (!held.Repeat(interval)) LeaseEnded(task.Registration.Name, task.Id);
        }
        else if (local.TryRepeat(task with { AttemptsMade = 0, MustWait = true }, interval))
        {
            // A cancel stands before it checks the delayed tasks, so one of us sees the other.
            if (requests.Any && requests.TryTake(task.Id) && local.Delayed.TryRemove(task.Id) is { } removed) Cancelled(removed);
        }
        else
        {
            requests.TryTake(task.Id); // Replaced: a request to pass over it may have come too late.
        }
    }

    /// <summary>Ends a task, and its message, because it was cancelled.</summary>
    internal void EndCancelled(DelayedTask task)
    {
        if (task.Held is not { } held)
        {
            Cancelled(task);
            return;
        }

        if (task.Metadata is { TrackResult: true } && MustKeep(task.Id, held))
        {
            CountCancelled(task);
            EndKept(task.Registration.Name, task.Id, held, TaskEvent.Result(task.Id, ResultStatus.Cancelled, 0, []));
            if (task.Metadata.KeyIsLocal) local.ReleaseKey(task.Metadata.UniqueKey!, task.Id);
        }
        else if (held.Complete())
        {
            Cancelled(task);
        }
        else
        {
            LeaseEnded(task.Registration.Name, task.Id);
        }
    }

    /// <summary>Ends a task because it was cancelled; its message is gone.</summary>
    internal void Cancelled(DelayedTask task)
    {
        CountCancelled(task);
        Ended(task, ResultStatus.Cancelled, "");
    }

    private void CountCancelled(DelayedTask task)
    {
        Interlocked.Increment(ref _cancelled);
        context.Telemetry.Cancelled(context.NameTag, task.Registration.NameTag);
        context.Log.Cancelled(task.Registration.Name, task.Id);
    }

    /// <summary>Ends a task without a result.</summary>
    internal void Ended(DelayedTask task, ResultStatus status, string reason)
    {
        if (task.Metadata is not { } metadata) return;
        if (metadata.TrackResult) ReportWithoutResult(task.Id, status, reason, task.Held?.Route);
        if (metadata.KeyIsLocal) local.ReleaseKey(metadata.UniqueKey!, task.Id);
    }

    /// <summary>Reports the end of a task of which only its route knows more.</summary>
    internal void EndedOnRoute(TaskId id, ResultStatus status, string reason, RouteName route) =>
        ReportWithoutResult(id, status, reason, route);

    /// <summary>Ends a task that was taken back from a route before any worker began it.</summary>
    internal void CancelledOnRoute(TaskId id, RouteName route)
    {
        Interlocked.Increment(ref _cancelled);
        context.Telemetry.Cancelled(context.NameTag, QueueTelemetry.RouteTag(route));
        EndedOnRoute(id, ResultStatus.Cancelled, "", route);
    }

    /// <summary>Notes that a lease had ended when its attempt did: another worker may have the task.</summary>
    internal void LeaseEnded(string task, TaskId id) => context.Log.LeaseEnded(task, id);

    private void ReportDone(TaskRegistration registration, TaskId id, object? value, RouteName? route)
    {
        if (id.High == context.Ids.Producer)
        {
            Complete(id, new TaskResult(ResultStatus.Done, value, null, 0, null));
            return;
        }

        EnvelopeBuffer buffer = EnvelopeBuffer.Rent();
        try
        {
            if (value is not null) registration.Invoker.WriteResult(value, buffer);
            events.Publish(TaskEvent.Result(id, ResultStatus.Done, registration.Serializer.Format, buffer.Written), id, route);
        }
        catch (Exception e)
        {
            ReportWithoutResult(id, ResultStatus.Failed, $"the task completed, but its result cannot be serialized: {e.Message}", route);
        }
        finally
        {
            buffer.Return();
        }
    }

    private void ReportWithoutResult(TaskId id, ResultStatus status, string error, RouteName? route)
    {
        if (id.High == context.Ids.Producer)
        {
            Complete(id, new TaskResult(status, null, null, 0, error));
            return;
        }

        // A route that keeps results has what it says: a dead letter, or a cancelled message.
        if (route is { } kept && routes.KeepsResults(kept))
        {
            if (!routes.AnnouncesResults(kept)) events.Publish(TaskEvent.Ready(id), only: kept);
        }
        else events.Publish(status == ResultStatus.Failed ? Failure(id, error) : TaskEvent.Result(id, status, 0, []), id, route);
    }

    private void Complete(TaskId id, in TaskResult result)
    {
        results.Complete(id, result);
        progress.End(id);
    }
}
