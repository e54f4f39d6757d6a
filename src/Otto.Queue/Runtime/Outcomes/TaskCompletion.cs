namespace Otto.Queue;

// The end of a task, well or not: its result is reported and its key is free again, or it repeats and is due once more.

internal sealed class TaskCompletion(QueueContext context, ResultReporter results, DelayedTaskQueue delayed, LocalKeys keys,
    CancelRequestSet requests)
{
    private long _cancelled;

    internal long CancelledCount => Volatile.Read(ref _cancelled);

    /// <summary>Ends a task that carries metadata and whose handler has returned; one that repeats is then due again
    /// (<see cref="Repeat"/>).</summary>
    /// <param name="registration">Its registration.</param>
    /// <param name="id">The task.</param>
    /// <param name="metadata">What it carries.</param>
    /// <param name="result">What its handler returned.</param>
    /// <param name="route">The route that has its message; <see langword="null"/> if there is none.</param>
    internal void Succeeded(TaskRegistration registration, TaskId id, TaskMetadata metadata, object? result, RouteName? route)
    {
        if (metadata.TrackResult) results.Done(registration, id, result, route);
        if (!metadata.Repeats && metadata.KeyIsLocal) keys.Release(metadata.UniqueKey!, id);
    }

    /// <summary>Lets a task that repeats wait for its next time, where it is kept.</summary>
    internal void Repeat(DelayedTask task)
    {
        TimeSpan interval = task.Metadata!.RepeatInterval;
        if (task.Held is not { } held) delayed.TryAdd(task with { AttemptsMade = 0, MustWait = true }, interval, ignoreBound: true);
        else if (!held.Repeat(interval)) LeaseEnded(task.Registration.Name, task.Id);
    }

    /// <summary>Ends a task because it was cancelled.</summary>
    internal void Cancelled(DelayedTask task)
    {
        Interlocked.Increment(ref _cancelled);
        context.Telemetry.Cancelled(context.NameTag, task.Registration.NameTag);
        context.Log.Cancelled(task.Registration.Name, task.Id);
        Ended(task, ResultStatus.Cancelled, "");
    }

    /// <summary>Ends a task that was not begun, if its cancellation was requested.</summary>
    /// <returns>Whether it has ended.</returns>
    internal bool EndIfCancelled(DelayedTask task)
    {
        if (!requests.TryTake(task.Id)) return false;
        task.Held?.Complete();
        Cancelled(task);
        return true;
    }

    /// <summary>Ends a task without a result.</summary>
    internal void Ended(DelayedTask task, ResultStatus status, string reason)
    {
        if (task.Metadata is not { } metadata) return;
        if (metadata.TrackResult) results.Failed(task.Id, status, reason, task.Held?.Route);
        if (metadata.KeyIsLocal) keys.Release(metadata.UniqueKey!, task.Id);
    }

    /// <summary>Reports the end of a task of which only its route knows more.</summary>
    internal void EndedOnRoute(TaskId id, ResultStatus status, string reason, RouteName route) => results.Failed(id, status, reason, route);

    /// <summary>Notes that a lease had ended when its attempt did: another worker may have the task.</summary>
    internal void LeaseEnded(string task, TaskId id) => context.Log.LeaseEnded(task, id);
}
