using System.Globalization;

namespace Otto.Queue;

// A graceful stop of one lane: refuse new, hand over what nobody has started, finish what runs, report numbers.

internal static class QueueDrain
{
    // How long handlers get to give way once their token has fired.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    // How long each task that is left after the deadline may take to be handed over: a route that answers has all of them, one that hangs does not keep the program.
    private static readonly TimeSpan LastPatience = TimeSpan.FromSeconds(5);

    /// <summary>Stops a lane.</summary>
    /// <param name="lane">The lane.</param>
    /// <param name="deadline">Fires when running handlers must give way.</param>
    internal static async Task<DrainReport> RunAsync(Lane lane, CancellationToken deadline)
    {
        long start = lane.Clock.Timestamp;
        long completedBefore = Completed(lane);
        lane.BeginDrain();

        // Not yet started: others may start it at once. What no route takes is still run here, while time lasts.
        int lost = 0;
        foreach (DelayedTask task in TakeAll(lane))
        {
            if (lane.Cancels.TryTake(task.Id))
            {
                if (task.LeasedBy is not null) task.Lease.Complete();
                lane.Failures.NoteCancelled(task);
                continue;
            }

            if (await TryPassOnAsync(lane, task, deadline).ConfigureAwait(false)) continue;
            if (!task.MustWait) lane.Waiting.AddReady(task);
            else if (task.Terms is not { } terms || terms.Every == TimeSpan.Zero) lost += Lose(lane, task); // What recurs ends with its process, where nothing else keeps it.
        }

        lane.RunLeftover();

        bool quiet = true;
        if (lane.Roster is { } roster)
        {
            quiet = await roster.WaitUntilQuietAsync(deadline).ConfigureAwait(false);
            if (!quiet)
            {
                lane.AbortRunning();
                using CancellationTokenSource grace = new(Grace);
                quiet = await roster.WaitUntilQuietAsync(grace.Token).ConfigureAwait(false);
            }
        }

        using CancellationTokenSource last = new();
        foreach (DelayedTask task in lane.Waiting.TakeAll())
        {
            last.CancelAfter(LastPatience);
            if (!await TryPassOnAsync(lane, task, last.Token).ConfigureAwait(false) && !(task.MustWait && task.Terms is { } terms && terms.Every > TimeSpan.Zero)) lost += Lose(lane, task);
        }

        DrainReport report = new(Completed(lane) - completedBefore, lane.HandOff.By, lost, quiet ? 0 : lane.Roster!.Awake, lane.Clock.Provider.GetElapsedTime(start));
        await lane.DisposeAsync().ConfigureAwait(false);
        string handedOver = report.Transferred.Count == 0 ? "none"
            : string.Join(", ", report.Transferred.Select(static h => string.Create(CultureInfo.InvariantCulture, $"{h.Value} to {h.Key}")));
        lane.Log.Stopped(lane.Name, report.Elapsed.TotalMilliseconds, report.Completed, handedOver, lost, report.StillRunning);
        return report;
    }

    private static IEnumerable<DelayedTask> TakeAll(Lane lane)
    {
        while (lane.Ring.TryDequeueSealed(out QueuedTask task))
            yield return new DelayedTask
            {
                Binding = task.Binding,
                Id = new TaskId(lane.Owner.Producer, task.Number),
                Task = task.Task,
                EnqueuedMicroseconds = task.EnqueuedMicroseconds,
                Trace = task.Baggage?.Trace ?? default,
                Lease = task.Baggage?.Kept ?? default,
                LeasedBy = task.Baggage?.KeptBy,
                Terms = task.Baggage?.Terms,
            };
        foreach (DelayedTask task in lane.Waiting.TakeAll()) yield return task;
    }

    private static async ValueTask<bool> TryPassOnAsync(Lane lane, DelayedTask task, CancellationToken cancellationToken)
    {
        if (task.LeasedBy is not { } by) return await lane.HandOff.TryAsync(task, task.MustWait ? lane.Waiting.TimeLeft(task) : TimeSpan.Zero, cancellationToken).ConfigureAwait(false);
        // It is in the segment already: an attempt that was made counts, one that was not does not.
        if (task.Lease.Abandon(countAttempt: task.AttemptsMade > 0)) lane.HandOff.Note(by.Route.Route);
        return true;
    }

    private static int Lose(Lane lane, DelayedTask task)
    {
        lane.Log.LostAtStop(task.Binding.Name, task.Id);
        return 1;
    }

    private static long Completed(Lane lane)
    {
        long completed = 0;
        if (lane.Roster is { } roster)
            foreach (Worker worker in roster.Workers) completed += worker.Completed;
        return completed;
    }
}
