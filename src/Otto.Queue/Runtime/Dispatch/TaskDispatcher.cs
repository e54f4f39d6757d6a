using System.Diagnostics;
using Otto.Ipc;

namespace Otto.Queue;

// Takes a task in: the fast paths first, else it asks the planner and carries out what that says, again until the task has a place.

internal sealed class TaskDispatcher(QueueContext context, LocalDispatcher local, RemoteDispatcher remote, PendingResults results,
    ResultCollector collector, HandlerScope handlers) : ITaskDispatcher
{
    // More routes than this cost an array for each task that is planned.
    private const int UsualRoutes = 4;

    private readonly QueueTelemetry _telemetry = context.Telemetry;

    public ValueTask<TaskReceipt> EnqueueAsync<TTask>(TaskRegistration<TTask> registration, TTask task, EnqueueOptions? options,
        CancellationToken cancellationToken)
        where TTask : notnull
    {
        if (!typeof(TTask).IsValueType && task.GetType() != typeof(TTask) && remote.HasRoutes) registration.CheckDerived(task);
        // The fast path: nothing asked for, nobody watches, a worker here has room.
        if (options is null && registration.HandledHere && local.IsDirect && !_telemetry.ObservesSending && Activity.Current is null)
        {
            ulong number = context.Ids.NextNumber();
            if (local.TryEnqueue(
                new QueuedTask { Task = task, Registration = registration, Number = number,
                    EnqueuedMicroseconds = _telemetry.TimesWaits ? context.Clock.Now : context.Clock.CoarseNow }))
                return new ValueTask<TaskReceipt>(
                    new TaskReceipt(context.Ids.At(number), RouteName.InProcess, local.Reason) { Queue = context.Name });
        }

        // As fast beyond this process: nothing asked for, nobody watches, and only one route comes into question.
        if (options is null && !registration.HandledHere && !_telemetry.ObservesSending && Activity.Current is null
            && !cancellationToken.IsCancellationRequested
            && !context.Lifetime.IsStopping)
        {
            try
            {
                if (remote.Direct is { } route)
                {
                    TaskId id = context.Ids.At(context.Ids.NextNumber());
                    if (remote.TrySendNow(registration, task, route, id))
                        return new ValueTask<TaskReceipt>(
                            new TaskReceipt(id, route.Name, RouteReason.Attached(route.Reach)) { Queue = context.Name });
                }
            }
            catch (Exception e) when (e is TaskSerializationException or IOException)
            {
                return ValueTask.FromException<TaskReceipt>(e);
            }
            catch (ObjectDisposedException) when (context.Lifetime.IsStopping)
            {
                // The stop overtook us; the long way says so.
            }
        }

        return EnqueueWithOptionsAsync(registration, task, options ?? EnqueueOptions.Default, cancellationToken);
    }

    private async ValueTask<TaskReceipt> EnqueueWithOptionsAsync<TTask>(TaskRegistration<TTask> registration, TTask task,
        EnqueueOptions options, CancellationToken cancellationToken)
        where TTask : notnull
    {
        cancellationToken.ThrowIfCancellationRequested();
        options.Check();
        if (remote.IgnoresPins && options.Route is not null) options = options with { Route = null };
        if (!remote.IsOpen && !context.Lifetime.IsStopping) await remote.OpenAsync(cancellationToken).ConfigureAwait(false);
        using Activity? activity = QueueTelemetry.StartSend(context.Name, registration.Name);
        // Whoever listens: the context travels through this process to those that do.
        Activity? parent = activity ?? Activity.Current;
        ActivityContext trace = TraceBaggage.ContextOf(parent);
        TimeSpan delay = options.DelayFrom(context.Clock.Provider);
        EnvelopeHeader header =
            new() { Id = context.Ids.At(context.Ids.NextNumber()), EnqueuedMicroseconds = context.Clock.Now,
                Metadata = options.Metadata(trace, parent is null ? null : TraceBaggage.Of(parent)) };
        if (delay > TimeSpan.Zero) header.NotBeforeMicroseconds = header.EnqueuedMicroseconds + (long)delay.TotalMicroseconds;
        if (options.NotBefore is { } time) header.TimeOfDay = (time - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
        activity?.SetTag("messaging.message.id", header.Id.ToString());

        bool sent = false;
        // The place for the result is there before anybody could have one.
        if (options.TrackResult)
        {
            await remote.ListenAsync().ConfigureAwait(false);
            results.Open(header.Id, registration);
            collector.OnTracked();
        }

        try
        {
            TaskReceipt receipt = await DispatchAsync(registration, task, options, header, cancellationToken).ConfigureAwait(false);
            sent = receipt.Outcome != EnqueueOutcome.Duplicate;
            return receipt;
        }
        catch (ObjectDisposedException) when (context.Lifetime.IsStopping)
        {
            throw RoutingErrors.Stopped(context.Name, registration.Name); // The stop overtook us on our way to a route; nothing was sent.
        }
        finally
        {
            if (!sent && options.TrackResult) results.Forget(header.Id);
        }
    }

    private async ValueTask<TaskReceipt> DispatchAsync<TTask>(TaskRegistration<TTask> registration, TTask task, EnqueueOptions options,
        EnvelopeHeader header, CancellationToken cancellationToken)
        where TTask : notnull
    {
        DispatchResult result =
            await TryDispatchAsync(registration, task, options, header, waited: false, cancellationToken).ConfigureAwait(false);
        while (result.Reason is null)
        {
            // Full: waits for room on whichever route gets it first, then judges afresh; the signal is asked for before the last try, so
            // none is missed.
            Task? roomHere = result.WaitLocal ? local.NextRoom : null;
            RouteConnection? there = result.WaitRemote;
            result = await TryDispatchAsync(registration, task, options, header, waited: true, cancellationToken).ConfigureAwait(false);
            if (result.Reason is not null) break;
            collector.OnMissed(); // Results that were asked for here may take the room.
            await WaitForRoomAsync(roomHere, there, cancellationToken).ConfigureAwait(false);
        }

        if (result.Duplicate is { } existing)
        {
            _telemetry.Duplicate(context.NameTag, registration.NameTag, result.Route);
            return new TaskReceipt(existing, result.Route, result.Reason, EnqueueOutcome.Duplicate) { Queue = context.Name };
        }

        _telemetry.Sent(context.NameTag, registration.NameTag, result.Route, result.Reason);
        EnqueueOutcome outcome = result.Replaced ? EnqueueOutcome.Replaced : EnqueueOutcome.Accepted;
        return new TaskReceipt(header.Id, result.Route, result.Reason, outcome) { Queue = context.Name };
    }

    private async ValueTask WaitForRoomAsync(Task? roomHere, RouteConnection? there, CancellationToken cancellationToken)
    {
        using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, context.Lifetime.Stopping);
        Task? roomThere = there?.Channel.WaitToSendAsync(woken.Token).AsTask();
        Task first = (roomHere, roomThere) switch
        {
            ({ } a, { } b) => Task.WhenAny(a, b),
            ({ } a, null) => a,
            (null, { } b) => b,
            _ => Task.CompletedTask,
        };
        await first.WaitAsync(woken.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await woken.CancelAsync().ConfigureAwait(false);
        if (roomThere is not null) await roomThere.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>Plans, and does what the plan says; again where the ring or a route refuses.</summary>
    /// <returns>Where the task went; without a reason it went nowhere, and the result has what to wait for.</returns>
    private ValueTask<DispatchResult> TryDispatchAsync<TTask>(TaskRegistration<TTask> registration, TTask task, EnqueueOptions options,
        in EnvelopeHeader header, bool waited, CancellationToken cancellationToken)
        where TTask : notnull
    {
        PlanRequest request = Request(options, header.Delay > TimeSpan.Zero);
        // A task without a handler here asks nothing of the queue in this process.
        LocalState state = registration.HandledHere ? local.State(context.Lifetime.State, takeAnyRoom: waited)
            : new LocalState { Queue = context.Lifetime.State };
        while (true)
        {
            RoutePlan plan = Plan(request, state);
            switch (plan.Action)
            {
                case PlanAction.HandOver:
                    if (HandOver(registration, task, header, plan.Reason) is { Reason: not null } here) return new(here);
                    state = state with { HasRoom = false };
                    continue;
                case PlanAction.Hold:
                    if (remote.TryHold(registration, task, header, remote.Routes[plan.Route], plan.Reason) is { Reason: not null } held)
                        return new(held);
                    state = state with { HasRoomForHeld = false };
                    continue;
                case PlanAction.Send:
                    return SendAsync(registration, task, header, request, plan, cancellationToken);
                case PlanAction.Wait:
                    return new(new DispatchResult { WaitLocal = true });
                default:
                    throw Refusal(plan.Action, registration.Name, options);
            }
        }
    }

    private async ValueTask<DispatchResult> SendAsync<TTask>(TaskRegistration<TTask> registration, TTask task, EnvelopeHeader header,
        PlanRequest request, RoutePlan plan, CancellationToken cancellationToken)
        where TTask : notnull
    {
        DispatchResult result = await remote.SendAsync(registration, task, header, request, plan, cancellationToken).ConfigureAwait(false);
        // A handler that waited for room could be waiting for itself.
        if (result.Reason is null && (request.IsInsideHandler || remote.Routes[plan.Route].FullMode == QueueFullMode.Reject))
            throw RoutingErrors.Full(context.Name, local, remote.Routes);
        return result;
    }

    private DispatchResult HandOver<TTask>(TaskRegistration<TTask> registration, TTask task, in EnvelopeHeader header, string reason)
        where TTask : notnull
    {
        if (header.Metadata is not { UniqueKey: { } key } metadata)
            return local.TryEnqueue(registration, task, header) ? new DispatchResult(RouteName.InProcess, reason) : default;
        EnvelopeHeader keyed = header;
        keyed.Metadata = metadata with { KeyIsLocal = true };
        DelayedTask described = LocalDispatcher.Describe(registration, task, keyed);
        if (!local.Keys.TryAdd(key, described))
        {
            TaskId owner = metadata.Repeats ? local.Replace(registration, task, keyed) : local.Keys.OwnerOf(key);
            return owner == default && metadata.Repeats ? new DispatchResult(RouteName.InProcess, reason) { Replaced = true }
                : DispatchResult.KeyTaken(RouteName.InProcess, owner);
        }

        bool enqueued = false;
        try
        {
            enqueued = local.TryEnqueue(registration, task, keyed);
            return enqueued ? new DispatchResult(RouteName.InProcess, reason) : default;
        }
        finally
        {
            if (!enqueued) local.ReleaseKey(key, header.Id);
        }
    }

    /// <summary>Where a task would go now, without sending one.</summary>
    internal (RouteName Route, string Reason) Explain(TaskRegistration registration, EnqueueOptions options)
    {
        LocalState state = registration.HandledHere ? local.State(context.Lifetime.State, takeAnyRoom: false)
            : new LocalState { Queue = context.Lifetime.State };
        RoutePlan plan = Plan(Request(options, options.DelayFrom(context.Clock.Provider) > TimeSpan.Zero),
            state with { HasRoom = state is { HasRoom: true, HasRoomForHeld: true } });
        return plan.Action switch
        {
            PlanAction.HandOver or PlanAction.Hold => (RouteName.InProcess, plan.Reason),
            PlanAction.Send => (remote.Routes[plan.Route].Name, plan.Reason),
            PlanAction.Wait or PlanAction.RefuseFull => (RouteName.InProcess, state.OverflowReason),
            _ => throw Refusal(plan.Action, registration.Name, options),
        };
    }

    private RoutePlan Plan(in PlanRequest request, in LocalState state)
    {
        RouteStates buffer = default;
        return RoutePlanner.Plan(request, state, RemoteDispatcher.States(remote.Routes, buffer));
    }

    private PlanRequest Request(EnqueueOptions options, bool delayed) => new()
    {
        Pin = options.Route, Durability = options.Durability, IsDelayed = delayed, HasKey = options.UniqueKey is not null,
        Repeats = options.RepeatInterval is not null, IsInsideHandler = handlers.IsInside,
    };

    private InvalidOperationException Refusal(PlanAction action, string task, EnqueueOptions options) => action switch
    {
        PlanAction.RefuseFull => RoutingErrors.Full(context.Name, local, remote.Routes),
        PlanAction.RefuseStopped => RoutingErrors.Stopped(context.Name, task),
        PlanAction.RefuseNotDurable => RoutingErrors.NotDurable(task, options, remote.Routes),
        _ => RoutingErrors.NoRoute(task, options, remote.Routes),
    };

    [System.Runtime.CompilerServices.InlineArray(UsualRoutes)]
    private struct RouteStates
    {
        private RouteState _first;
    }
}
