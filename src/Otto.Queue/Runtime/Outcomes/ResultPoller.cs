namespace Otto.Queue;

// An event can be missed, as when a connection was away: a route that keeps results is asked now and then.

internal sealed class ResultPoller(PendingResults results, RouteConnections routes, Action<ReadOnlyMemory<byte>> received)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>Asks for a result until it has come.</summary>
    internal async Task PollAsync(TaskId id, CancellationToken stop)
    {
        for (TimeSpan pause = FirstPause; results.Expects(id); pause = pause < LongestPause ? pause * 2 : pause)
        {
            await Task.Delay(pause, stop).ConfigureAwait(false);
            foreach (RouteConnection route in routes.All)
            {
                try
                {
                    if (route.Results is { } kept && await kept.FindResultAsync(id, stop).ConfigureAwait(false) is { } message)
                        received(message);
                }
                catch (Exception e) when (e is IOException or ObjectDisposedException)
                {
                    // Asked again after the next pause.
                }
            }
        }
    }
}
