using Otto.Ipc.Mmap;

namespace Otto.Queue;

// The routes of one queue that leave this process: opened by the first who needs them, nearest first.

internal sealed class RouteConnections(QueueContext context, IReadOnlyList<ITaskRoute> configured, bool handlesAny, Action onReady)
    : IAsyncDisposable
{
    private readonly SemaphoreSlim _opening = new(1, 1);
    private volatile RouteConnection[] _all = [];
    private volatile RouteReceiver[] _receivers = [];
    private volatile bool _open;
    private RouteMonitor? _monitor;

    /// <summary>The open routes; none before <see cref="OpenAsync"/> has ended.</summary>
    internal RouteConnection[] All => _all;

    /// <summary>The receiving directions of <see cref="All"/>.</summary>
    internal RouteReceiver[] Receivers => _receivers;

    /// <summary>How many routes were asked for.</summary>
    internal int Configured => configured.Count;

    internal bool IsOpen => _open;

    /// <summary>Whether a route keeps the results of its tasks in their place.</summary>
    internal bool KeepsResults(RouteName name) => Find(name) is { KeepsResults: true };

    /// <summary>Whether a route announces the results that it keeps by itself.</summary>
    internal bool AnnouncesResults(RouteName name) => Find(name) is { AnnouncesResults: true };

    /// <summary>Whether a route here gets its answers over the network.</summary>
    internal bool UsesNetwork { get; private set; }

    internal long Sent => _all.Sum(static r => r.Sender.Sent);

    internal long Returned => _all.Sum(static r => r.Receiver.Returned);

    /// <summary>How many waiting tasks were moved on to a route with workers.</summary>
    internal long Moved => _monitor?.Moved ?? 0;

    /// <summary>Finds an open route by its name; <see langword="null"/> if it is not one of these.</summary>
    internal RouteConnection? Find(RouteName name)
    {
        foreach (RouteConnection route in _all)
            if (route.Name == name) return route;
        return null;
    }

    internal async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        await _opening.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_open) return;
            List<RouteConnection> routes = [];
            try
            {
                foreach (ITaskRoute route in configured)
                {
                    try
                    {
                        routes.Add(new RouteConnection(route, await route.OpenAsync(context.Name, cancellationToken).ConfigureAwait(false),
                            context, onReady));
                    }
                    catch (IOException e) when (route.Reach == RouteReach.Machine && IsOutOfRoom(e) && configured.Count > 1)
                    {
                        // No room for a segment: the others do without it.
                        context.Log.RouteNotOpened(context.Name, route.Name, e);
                    }
                }
            }
            catch
            {
                foreach (RouteConnection route in routes) await route.DisposeAsync().ConfigureAwait(false);
                throw;
            }

            foreach (RouteConnection route in routes)
            {
                if (route.Channel.Warning is { } warning) context.Log.RouteWarning(context.Name, route.Name, warning);
                route.LogWarnings(context);
            }

            _all = [.. routes];
            _receivers = [.. routes.Select(static r => r.Receiver)];
            UsesNetwork = routes.Exists(static r => r.Channel.UsesNetwork);
            _open = true;
            // A segment alone is never lost, and has nowhere to move to.
            if (routes.Exists(static r => r.Reach != RouteReach.Machine))
                (_monitor = new RouteMonitor(context, _all, handlesAny)).Start();
        }
        finally
        {
            _opening.Release();
        }
    }

    // Of files, memory or places: what other routes may have. Anything else is a mistake that must be seen.
    private static bool IsOutOfRoom(IOException e) => e.GetType() == typeof(IOException) || e is ParticipantLimitException;

    internal void StartConsuming(ITaskConsumer consumer, IReadOnlyCollection<string> handled)
    {
        foreach (RouteReceiver route in _receivers) route.StartConsuming(consumer, handled);
    }

    internal void StopConsuming()
    {
        foreach (RouteReceiver route in _receivers) route.StopConsuming();
    }

    internal ValueTask StopMonitoringAsync() => _monitor?.DisposeAsync() ?? default;

    /// <summary>Closes the routes; a route's participant lives on until its last lease has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        foreach (RouteConnection route in _all) await route.DisposeAsync().ConfigureAwait(false);
        _opening.Dispose();
    }
}
