namespace Otto.Queue;

// One queue on one route beyond this process: its open channel, what the channel can do, and the two directions.

internal sealed class RouteConnection : IAsyncDisposable
{
    internal RouteConnection(ITaskRoute route, TaskChannel channel, QueueContext context, Action onReady)
    {
        Name = route.Name;
        Reach = route.Reach;
        Durability = route.Durability;
        FullMode = route.FullMode;
        NoWorkerReason = route.NoWorkerReason;
        Channel = channel;
        channel.Warned = warning => context.Log.RouteWarning(context.Name, route.Name, warning);
        Holding = channel as IHoldingChannel;
        Cancelable = channel as ICancelableChannel;
        Events = channel is IEventChannel { CarriesEvents: true } events ? events : null;
        Results = channel as IResultChannel;
        Selective = channel as ISelectiveChannel;
        DeadLetters = channel as IDeadLetterChannel;
        Sender = new RouteSender(route.Name, channel);
        Receiver = new RouteReceiver(route, channel, context, onReady);
    }

    internal RouteName Name { get; }

    internal RouteReach Reach { get; }

    internal Durability Durability { get; }

    internal QueueFullMode FullMode { get; }

    internal string NoWorkerReason { get; }

    internal TaskChannel Channel { get; }

    /// <summary>Sends this process's tasks.</summary>
    internal RouteSender Sender { get; }

    /// <summary>Leases tasks for the workers of this process.</summary>
    internal RouteReceiver Receiver { get; }

    /// <summary>The channel if it can store a task that runs here; else <see langword="null"/>. The same for the others
    /// below.</summary>
    internal IHoldingChannel? Holding { get; }

    internal ICancelableChannel? Cancelable { get; }

    internal IEventChannel? Events { get; }

    internal IResultChannel? Results { get; }

    internal ISelectiveChannel? Selective { get; }

    internal IDeadLetterChannel? DeadLetters { get; }

    /// <summary>Whether the route keeps the results of its tasks in their place.</summary>
    internal bool KeepsResults => Results is { KeepsResults: true };

    /// <summary>Whether the route itself announces the results that it keeps.</summary>
    internal bool AnnouncesResults => Results is { KeepsResults: true, AnnouncesResults: true };

    /// <summary>Gets the number of waiting messages; <see langword="null"/> if it can no longer be
    /// determined.</summary>
    internal int? CountReady()
    {
        try
        {
            return Channel.LastCounts.Ready;
        }
        catch (Exception e) when (e is ObjectDisposedException or IOException)
        {
            return null;
        }
    }

    /// <summary>Gets the number of other known workers; <see langword="null"/> if it can no longer be
    /// determined.</summary>
    internal int? CountOthers()
    {
        try
        {
            return Channel.OtherWorkers;
        }
        catch (Exception e) when (e is ObjectDisposedException or IOException)
        {
            return null;
        }
    }

    /// <summary>Writes to the log what was found on the route and is not there yet.</summary>
    internal void LogWarnings(QueueContext context)
    {
        foreach (RouteWarning warning in Channel.Warnings)
            if (warning.TryLog()) context.Log.RouteWarning(context.Name, Name, warning.Text);
    }

    /// <summary>Closes the queue after the last wait in it has ended, so that its participant is gone when this method
    /// ends (leases aside).</summary>
    public async ValueTask DisposeAsync()
    {
        await Receiver.DisposeAsync().ConfigureAwait(false);
        await Channel.DisposeAsync().ConfigureAwait(false);
    }
}
