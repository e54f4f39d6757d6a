namespace Otto.Queue;

// What other processes published about tasks: cancels for workers here, results and progress for producers here. An event can be missed,
// as when a connection was away or a process was too slow: the store has what it says.

internal sealed class TaskEventReceiver(QueueContext context, RouteConnections routes, PendingResults results, ResultCollector collector,
    ProgressHub progress, Action<TaskId> cancel)
{
    private volatile bool _listening;

    /// <summary>Receives what others publish: workers for cancels, producers for results and progress.</summary>
    internal async ValueTask ListenAsync()
    {
        if (_listening) return;
        foreach (RouteConnection route in routes.All)
        {
            try
            {
                if (route.Events is { } events) await events.ListenAsync(message => Receive(route.Name, message)).ConfigureAwait(false);
            }
            catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException or ArgumentException)
            {
                context.Log.NoticesFailed(context.Name, route.Name, e);
            }
        }

        _listening = true;
    }

    private void Receive(RouteName route, ReadOnlyMemory<byte> message)
    {
        if (message.IsEmpty)
        {
            collector.OnMissed();
            return;
        }

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
            case TaskEventKind.Ready:
                collector.OnReady(id, route);
                break;
            case TaskEventKind.Progress:
                progress.ReceiveEvent(TaskEvent.ReadProgress(id, body));
                break;
        }
    }
}
