using Otto.Ipc;
using Otto.Ipc.Transports;

namespace Otto.Queue;

// Sends tasks on the routes beyond this process.

internal sealed class RemoteDispatcher(QueueContext context, RouteConnections routes, TaskEventReceiver events, LocalDispatcher local,
    bool ignorePins)
{
    internal RouteConnection[] Routes => routes.All;

    /// <summary>Whether tasks may leave this process.</summary>
    internal bool HasRoutes => routes.Configured > 0;

    internal bool IsOpen => routes.IsOpen;

    /// <summary>Whether tasks go where they would without a pin: for tests, which have one route only.</summary>
    internal bool IgnoresPins => ignorePins;

    internal ValueTask OpenAsync(CancellationToken cancellationToken) => routes.OpenAsync(cancellationToken);

    /// <summary>Receives, from now on, what becomes of tasks that run in other processes.</summary>
    internal ValueTask ListenAsync() => events.ListenAsync();

    /// <summary>The routes as a planner sees them.</summary>
    /// <param name="all">The routes.</param>
    /// <param name="buffer">Room for them; a longer array is made where it is too short.</param>
    internal static ReadOnlySpan<RouteState> States(RouteConnection[] all, Span<RouteState> buffer)
    {
        Span<RouteState> states = all.Length <= buffer.Length ? buffer[..all.Length] : new RouteState[all.Length];
        for (int i = 0; i < all.Length; i++)
        {
            RouteConnection route = all[i];
            states[i] = new RouteState
            {
                Name = route.Name, Reach = route.Reach, Durability = route.Durability,
                IsPassedOver = route.Sender.IsPassedOver, OtherWorkers = route.Channel.OtherWorkers,
                CanHold = route.Holding is not null, NoWorkerReason = route.NoWorkerReason,
            };
        }

        return states;
    }

    /// <summary>The one route, if it takes an envelope at once and a worker is known there.</summary>
    internal RouteConnection? Direct =>
        routes.IsOpen && routes.All is [{ Channel: { CanSendNow: true, OtherWorkers: > 0 }, Sender.IsPassedOver: false } only]
            ? only : null;

    /// <summary>Writes the envelope and sends it, if there is room now.</summary>
    internal bool TrySendNow<TTask>(TaskRegistration<TTask> registration, TTask task, RouteConnection route, TaskId id)
        where TTask : notnull
    {
        EnvelopeBuffer message = registration.WriteTyped(task, new EnvelopeHeader { Id = id, EnqueuedMicroseconds = context.Clock.Now });
        try
        {
            return message.Length <= route.Channel.MaxMessageBytes && route.Sender.TrySendNow(message.Written);
        }
        finally
        {
            message.Return();
        }
    }

    /// <summary>Stores the task on a route, where it is leased by this process and never ready, and then hands its
    /// object over.</summary>
    /// <returns>Where it went; without a reason it went nowhere.</returns>
    internal DispatchResult TryHold<TTask>(TaskRegistration<TTask> registration, TTask task, in EnvelopeHeader header,
        RouteConnection route, string reason)
        where TTask : notnull
    {
        EnvelopeBuffer message = registration.WriteTyped(task, header);
        try
        {
            if (message.Length > route.Channel.MaxMessageBytes) return default;
            SendResult answer = route.Holding!.TrySendAndLease(message.Written, Options(header), out WorkLease lease);
            if (answer.Outcome == SendOutcome.Duplicate) return DispatchResult.KeyTaken(route.Name, answer.Existing);
            if (answer.Outcome is not (SendOutcome.Sent or SendOutcome.Replaced)) return default;
            bool replaced = answer.Outcome == SendOutcome.Replaced;
            // The one before it runs, so it waits on the route.
            if (lease == default) return new DispatchResult(route.Name, reason) { Replaced = replaced };
            try
            {
                lease.SetHandling(WorkHandling.NotBegun); // Until a worker here begins.
                EnvelopeHeader held = header;
                HeldMessage copy = new(lease, route.Name);
                held.Metadata = header.Metadata is { } metadata ? metadata with { Held = copy } : new TaskMetadata { Held = copy };
                if (local.TryEnqueue(registration, task, held))
                    return new DispatchResult(RouteName.InProcess, reason) { Replaced = replaced };
            }
            catch
            {
                lease.Complete(); // Refused by the round trip: the producer gets the error, so nobody must find the task.
                throw;
            }

            lease.Abandon(countAttempt: false); // The ring filled up meanwhile; it is on the route already, so anyone may have it.
            local.CountOverflow();
            return new DispatchResult(route.Name, local.OverflowReason) { Replaced = replaced };
        }
        finally
        {
            message.Return();
        }
    }

    /// <summary>Sends the task on the planned route, or on another that fits if that has no room.</summary>
    /// <returns>Where it went; without a reason it went nowhere, and the result has what to wait for.</returns>
    /// <exception cref="TaskSerializationException">It is too large for every route that fits.</exception>
    internal async ValueTask<DispatchResult> SendAsync<TTask>(TaskRegistration<TTask> registration, TTask task, EnvelopeHeader header,
        PlanRequest request, RoutePlan plan, CancellationToken cancellationToken)
        where TTask : notnull
    {
        RouteConnection[] all = routes.All;
        RouteConnection best = all[plan.Route];
        RouteConnection? fits = null;
        int largest = 0;
        IOException? failure = null;
        EnvelopeBuffer message = registration.WriteTyped(task, header);
        try
        {
            for (int i = -1; i < all.Length; i++)
            {
                RouteConnection route = i < 0 ? best : all[i];
                if (i >= 0 && (ReferenceEquals(route, best) || !RoutePlanner.IsAlternative(request, route.Durability))) continue;
                largest = Math.Max(largest, route.Channel.MaxMessageBytes);
                if (message.Length > route.Channel.MaxMessageBytes) continue;
                fits ??= route;
                string reason = i >= 0 && !plan.Overflowed ? best.Sender.PassedOverReason : plan.Reason;
                SendResult answer;
                try
                {
                    answer = await route.Sender.SendAsync(message.Written, Options(header), cancellationToken).ConfigureAwait(false);
                }
                catch (IOException e) when (request.Pin is null && !request.HasKey)
                {
                    failure ??= e; // No room there, as a full directory: perhaps another route has some.
                    continue;
                }

                if (answer.Outcome == SendOutcome.Duplicate) return DispatchResult.KeyTaken(route.Name, answer.Existing);
                if (answer.Outcome is not (SendOutcome.Sent or SendOutcome.Replaced)) continue;
                if (plan.Overflowed || i >= 0) local.CountOverflow();
                return new DispatchResult(route.Name, reason) { Replaced = answer.Outcome == SendOutcome.Replaced };
            }
        }
        finally
        {
            message.Return();
        }

        if (failure is not null) System.Runtime.ExceptionServices.ExceptionDispatchInfo.Throw(failure);
        if (fits is null && !plan.Overflowed)
            throw RoutingErrors.TooLarge(context.Name, registration.Name, best.Name, message.Length, largest);
        return new DispatchResult { WaitLocal = plan.Overflowed, WaitRemote = fits };
    }

    private static SendOptions Options(in EnvelopeHeader header) => new(header.Id, header.Delay, header.Metadata?.UniqueKey);
}

/// <summary>Where a task went, or what to wait for before the next try.</summary>
internal readonly record struct DispatchResult(RouteName Route, string? Reason)
{
    /// <summary>Whether to wait for room in this process.</summary>
    internal bool WaitLocal { get; init; }

    /// <summary>The route on which to wait for room; <see langword="null"/> if there is none.</summary>
    internal RouteConnection? WaitRemote { get; init; }

    /// <summary>Whether it took the place of a recurring task of its key.</summary>
    internal bool Replaced { get; init; }

    /// <summary>The task that has the key.</summary>
    internal TaskId? Duplicate { get; init; }

    internal static DispatchResult KeyTaken(RouteName route, TaskId existing) => new(route, RouteReason.KeyTaken) { Duplicate = existing };
}
