using Otto.Ipc;

namespace Otto.Queue;

// Whether one queue has anything left to do, for a caller that waits until it has not.

internal sealed class IdleCheck(QueueContext context, LocalQueue local, RouteConnections routes, WorkerPool workers, TaskSource source,
    FailureHandler failures)
{
    // How much later than it asked for a route may make a task ready again.
    private static readonly TimeSpan LatestRetry = TimeSpan.FromSeconds(5);

    /// <summary>How many attempts have ended: if it does not change between two checks, none began and ended between
    /// them.</summary>
    internal long Attempts
    {
        get
        {
            (long completed, long failed) = workers.Count();
            return completed + failed;
        }
    }

    /// <summary>Whether no task waits in this process, other than for its time, and no handler runs.</summary>
    internal bool IsQuiet => workers.Awake == 0 && !source.HasWork && local.Ring.Count == 0 && !local.Delayed.HasRetries;

    /// <summary>Whether no route has a task that may run, or one that failed here and is to run again.</summary>
    internal async ValueTask<bool> AreRoutesEmptyAsync(CancellationToken cancellationToken)
    {
        foreach (RouteConnection route in routes.All)
        {
            try
            {
                WorkQueueCounts counts = await route.Channel.CountAsync(cancellationToken).ConfigureAwait(false);
                if (counts.Ready > 0 || counts.Leased > 0 || (counts.Delayed > 0 && MayRetry)) return false;
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException)
            {
                return false; // Out of reach for now, or stopping: what it holds is not known.
            }
        }

        return true;
    }

    private bool MayRetry => failures.LastRetryDue is > 0 and var due && context.Clock.Timestamp - due < context.Clock.ToTicks(LatestRetry);
}
