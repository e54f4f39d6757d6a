namespace Otto.Queue;

// Tasks that lived in this process given to other routes: at a stop, or when a stop meets a failure. Counted, since the numbers are what shows that nothing was lost.

internal sealed class HandOff(Lane lane)
{
    private readonly Dictionary<Route, int> _by = [];

    internal IReadOnlyDictionary<Route, int> By
    {
        get
        {
            lock (_by) return new Dictionary<Route, int>(_by);
        }
    }

    internal void Note(Route route)
    {
        lane.Telemetry.HandedOver(lane, route);
        lock (_by) _by[route] = _by.GetValueOrDefault(route) + 1;
    }

    /// <summary>Gives an object to the first route that has room and keeps it no worse, attempts and all.</summary>
    internal async ValueTask<bool> TryAsync(DelayedTask task, TimeSpan delay, CancellationToken cancellationToken)
    {
        foreach (RouteConnection route in lane.Routes)
        {
            try
            {
                EnvelopeBuffer buffer = task.Binding.Write(task.Task!, task.Header(task.AttemptsMade));
                ValueTask<SendResult> sending;
                try
                {
                    if (buffer.Length > route.Channel.MaxMessageBytes) continue;
                    sending = route.SendAsync(buffer.Written, new SendOptions(task.Id, delay), cancellationToken);
                }
                finally
                {
                    buffer.Return();
                }

                if ((await sending.ConfigureAwait(false)).Outcome != SendOutcome.Sent) continue;
                Note(route.Route.Route);
                return true;
            }
            catch (Exception e) when (e is TaskSerializationException or IOException or ObjectDisposedException or InvalidOperationException or OperationCanceledException)
            {
                lane.Log.HandOverFailed(task.Binding.Name, task.Id, route.Route.Route, e);
            }
        }

        return false;
    }
}
