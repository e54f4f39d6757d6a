namespace Otto.Queue;

// Tasks that lived in this process given to other routes: at a stop, or when a stop meets a failure. Counted, since the numbers are what
// shows that nothing was lost.

internal sealed class HandOff(QueueContext context, RouteConnections routes)
{
    private readonly Dictionary<RouteName, int> _byRoute = [];

    internal IReadOnlyDictionary<RouteName, int> ByRoute
    {
        get
        {
            lock (_byRoute) return new Dictionary<RouteName, int>(_byRoute);
        }
    }

    internal void Count(RouteName route)
    {
        context.Telemetry.HandedOver(context.NameTag, route);
        lock (_byRoute) _byRoute[route] = _byRoute.GetValueOrDefault(route) + 1;
    }

    /// <summary>Gives an object to the first route that has room and keeps it no worse, attempts and all.</summary>
    internal async ValueTask<bool> TryAsync(DelayedTask task, TimeSpan delay, CancellationToken cancellationToken)
    {
        foreach (RouteConnection route in routes.All)
        {
            try
            {
                EnvelopeBuffer buffer = task.Registration.Write(task.Task!, task.Header(task.AttemptsMade));
                ValueTask<SendResult> sending;
                try
                {
                    if (buffer.Length > route.Channel.MaxMessageBytes) continue;
                    sending = route.Sender.SendAsync(buffer.Written, new SendOptions(task.Id, delay), cancellationToken);
                }
                finally
                {
                    buffer.Return();
                }

                if ((await sending.ConfigureAwait(false)).Outcome != SendOutcome.Sent) continue;
                Count(route.Name);
                return true;
            }
            catch (Exception e) when (e is TaskSerializationException or IOException or ObjectDisposedException or InvalidOperationException
                or OperationCanceledException)
            {
                context.Log.HandOverFailed(task.Registration.Name, task.Id, route.Name, e);
            }
        }

        return false;
    }
}
