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
        DelayedTask? first = null;
        foreach (DelayedTask task in TakeAll())
        {
            if (EndIfCancelled(task) || await TryHandOffAsync(task, deadline).ConfigureAwait(false)) continue;
            // What is overdue may begin here, as what need not wait.
            if (!task.MustWait || (!task.Repeats && local.Delayed.TimeLeft(task) == TimeSpan.Zero)) local.Delayed.AddReady(task);
            else if (!task.Repeats) Lose(task, ref lost, ref first); // What repeats ends with its process, where nothing else keeps it.
        }

        Report(lost, first);
        return lost;
    }

    /// <summary>Gives what is left to other routes, once no worker here can run it any more.</summary>
    /// <returns>How many tasks are lost.</returns>
    internal async Task<int> HandOffRestAsync()
    {
        int lost = 0;
        DelayedTask? first = null;
        using CancellationTokenSource last = new();
        foreach (DelayedTask task in local.Delayed.TakeAll())
        {
            last.CancelAfter(LastTimeout);
            if (!await TryHandOffAsync(task, last.Token).ConfigureAwait(false) && !(task.MustWait && task.Repeats))
                Lose(task, ref lost, ref first);
        }

        Report(lost, first);
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

    private static void Lose(DelayedTask task, ref int lost, ref DelayedTask? first)
    {
        lost++;
        first ??= task;
    }

    // One line, however many.
    private void Report(int lost, DelayedTask? first)
    {
        if (first is not null) context.Log.LostAtStop(lost, context.Name, first.Registration.Name, first.Id);
    }
}
