namespace Otto.Queue;

// The tasks in this process that no worker has begun when a stop begins: given to other routes, where any worker may begin them at once.

internal sealed class UnstartedTasks(QueueContext context, LocalQueue local, HandOff handOff, TaskCompletion completion,
    CancelRequestSet requests)
{
    // How long each task that is left after the deadline may take to be handed over: a route that answers has all of them, one that hangs
    // does not keep the program.
    private static readonly TimeSpan LastTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Gives everything to other routes. What none takes is left to the workers here.</summary>
    /// <returns>How many tasks are lost: they may not begin yet, and no route takes them.</returns>
    internal async Task<int> HandOffAsync(CancellationToken deadline)
    {
        int lost = 0;
        foreach (DelayedTask task in TakeAll())
        {
            if (EndIfCancelled(task) || await TryHandOffAsync(task, deadline).ConfigureAwait(false)) continue;
            if (!task.MustWait) local.Delayed.AddReady(task);
            else if (!task.Repeats) lost += Lose(task); // What repeats ends with its process, where nothing else keeps it.
        }

        return lost;
    }

    /// <summary>Gives what is left to other routes, once no worker here can run it any more.</summary>
    /// <returns>How many tasks are lost.</returns>
    internal async Task<int> HandOffRestAsync()
    {
        int lost = 0;
        using CancellationTokenSource last = new();
        foreach (DelayedTask task in local.Delayed.TakeAll())
        {
            last.CancelAfter(LastTimeout);
            if (!await TryHandOffAsync(task, last.Token).ConfigureAwait(false) && !(task.MustWait && task.Repeats)) lost += Lose(task);
        }

        return lost;
    }

    private IEnumerable<DelayedTask> TakeAll()
    {
        while (local.Ring.TryDequeueSealed(out QueuedTask task))
            yield return task.Describe(context.Ids);
        foreach (DelayedTask task in local.Delayed.TakeAll()) yield return task;
    }

    private async ValueTask<bool> TryHandOffAsync(DelayedTask task, CancellationToken cancellationToken)
    {
        if (task.Held is not { } held)
        {
            TimeSpan delay = task.MustWait ? local.Delayed.TimeLeft(task) : TimeSpan.Zero;
            return await handOff.TryAsync(task, delay, cancellationToken).ConfigureAwait(false);
        }

        // Its route has it already: an attempt that was made counts, one that was not does not.
        if (held.Abandon(countAttempt: task.AttemptsMade > 0)) handOff.Count(held.Route);
        return true;
    }

    private bool EndIfCancelled(DelayedTask task)
    {
        if (!requests.TryTake(task.Id)) return false;
        task.Held?.Complete();
        completion.Cancelled(task);
        return true;
    }

    private int Lose(DelayedTask task)
    {
        context.Log.LostAtStop(task.Registration.Name, task.Id);
        return 1;
    }
}
