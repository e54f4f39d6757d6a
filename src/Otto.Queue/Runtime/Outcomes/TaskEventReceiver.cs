namespace Otto.Queue;

// What other processes published about tasks: cancels for workers here, results and progress for producers here. An event can be missed,
// as when a connection was away: a route that keeps results is asked now and then.

internal sealed class TaskEventReceiver(QueueContext context, RouteConnections routes, PendingResults results, ProgressHub progress,
    Action<TaskId> cancel)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    private volatile bool _listening;

    /// <summary>Receives what others publish: workers for cancels, producers for results and progress.</summary>
    internal async ValueTask ListenAsync()
    {
        if (_listening) return;
        foreach (RouteConnection route in routes.All)
        {
            try
            {
                if (route.Events is { } events) await events.ListenAsync(Receive).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or ArgumentException)
            {
                context.Log.NoticesFailed(context.Name, route.Name, e);
            }
        }

        _listening = true;
    }

    /// <summary>Asks the routes for a result whose event may have been missed, until it has come.</summary>
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
                        Receive(message);
                }
                catch (Exception e) when (e is IOException or ObjectDisposedException)
                {
                    // Asked again after the next pause.
                }
            }
        }
    }

    private void Receive(ReadOnlyMemory<byte> message)
    {
        if (!TaskEvent.TryRead(message.Span, out TaskEventKind kind, out TaskId id, out ReadOnlySpan<byte> body)) return;
        switch (kind)
        {
            case TaskEventKind.Cancel:
                cancel(id);
                break;
            case TaskEventKind.Result:
                results.Receive(id, body);
                progress.End(id);
                break;
            case TaskEventKind.Progress:
                progress.ReceiveEvent(TaskEvent.ReadProgress(id, body));
                break;
        }
    }
}
