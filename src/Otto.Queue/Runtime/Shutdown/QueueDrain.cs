namespace Otto.Queue;

// A graceful stop of one queue that takes nothing new any more: hand over what nobody has started, finish what runs.

internal sealed class QueueDrain(QueueContext context, UnstartedTasks unstarted, WorkerPool workers, TaskSource source)
{
    // How long handlers get to give way once their token has fired.
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    /// <summary>Ends the work.</summary>
    /// <param name="deadline">Fires when running handlers must give way.</param>
    /// <returns>How many tasks no route could take, and how many handlers still run.</returns>
    internal async Task<(int Lost, int StillRunning)> RunAsync(CancellationToken deadline)
    {
        // Not yet started: others may start it at once. What no route takes is still run here, while time lasts.
        int lost = await unstarted.HandOffAsync(deadline).ConfigureAwait(false);
        source.TakeDelayed(true);
        workers.Signal();

        // A queue that was never started has no workers to wait for.
        bool quiet = workers.Size == 0 || await workers.WaitUntilQuietAsync(deadline).ConfigureAwait(false);
        if (!quiet)
        {
            source.TakeDelayed(false);
            context.Lifetime.CancelAbort();
            workers.FireAll(CancellationCause.Stopped);
            using CancellationTokenSource grace = new(Grace);
            quiet = await workers.WaitUntilQuietAsync(grace.Token).ConfigureAwait(false);
        }

        lost += await unstarted.HandOffRestAsync().ConfigureAwait(false);
        return (lost, quiet ? 0 : workers.Awake);
    }
}
