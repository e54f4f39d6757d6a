using System.Diagnostics;
using Otto.Ipc;

namespace Otto.Queue;

// Where a task goes, judged again for each task: the first line that fits. The judgement reads top down in TryPlace, then in PlaceBeyondAsync.

internal sealed class TaskRouter(Lane lane, InProcessOptions here, bool roundTrip, bool ignoresPins)
{
    private readonly QueueTelemetry _telemetry = lane.Telemetry;
    private readonly TaskQueue _owner = lane.Owner;
    private readonly RoutingErrors _refusals = new(lane);

    internal ValueTask<TaskReceipt> EnqueueAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions? options, CancellationToken cancellationToken)
        where TTask : notnull
    {
        // The short way: nothing asked for, nobody watches, a worker here has room.
        if (options is null && binding.HandledHere && lane.AcceptsHere && !lane.SpillsFromHere && !roundTrip && !_telemetry.ObservesSending)
        {
            ulong number = _owner.NextNumber();
            if (lane.TryHandOver(new QueuedTask { Task = task, Binding = binding, Number = number, EnqueuedMicroseconds = _telemetry.TimesWaits ? lane.Clock.Now : lane.Clock.CoarseNow }))
                return new ValueTask<TaskReceipt>(new TaskReceipt(new TaskId(_owner.Producer, number), Route.InProcess, lane.ReasonHere) { Queue = lane.Name });
        }

        // As short beyond this process: nothing asked for, nobody watches, and all routes but one are out of the question.
        if (options is null && !binding.HandledHere && lane.IsOpen && !_telemetry.ObservesSending && !cancellationToken.IsCancellationRequested
            && lane.State < QueueState.Draining && lane.Routes is [{ Channel: WorkQueueChannel { OtherWorkers: > 0 } channel, IsPassedOver: false } only])
        {
            try
            {
                if (TrySendAtOnce(binding, task, only, channel, out ulong number))
                    return new ValueTask<TaskReceipt>(new TaskReceipt(new TaskId(_owner.Producer, number), only.Route.Route, RouteReason.Attached(only.Route.Route)) { Queue = lane.Name });
            }
            catch (Exception e) when (e is TaskSerializationException or IOException)
            {
                return ValueTask.FromException<TaskReceipt>(e);
            }
            catch (ObjectDisposedException) when (lane.State >= QueueState.Draining)
            {
                // The stop overtook us; the long way says so.
            }
        }

        return PlaceAsync(binding, task, options ?? EnqueueOptions.Default, cancellationToken);
    }

    /// <summary>Writes the envelope and sends it, if there is room now.</summary>
    private bool TrySendAtOnce<TTask>(TaskBinding<TTask> binding, TTask task, RouteConnection route, WorkQueueChannel channel, out ulong number)
        where TTask : notnull
    {
        number = _owner.NextNumber();
        EnvelopeBuffer message = binding.WriteTyped(task, new EnvelopeHeader { Id = new TaskId(_owner.Producer, number), EnqueuedMicroseconds = lane.Clock.Now });
        try
        {
            if (message.Length > channel.MaxMessageBytes || !channel.TrySend(message.Written)) return false;
            route.CountSent();
            return true;
        }
        finally
        {
            message.Return();
        }
    }

    private async ValueTask<TaskReceipt> PlaceAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, CancellationToken cancellationToken)
        where TTask : notnull
    {
        cancellationToken.ThrowIfCancellationRequested();
        options.Check();
        if (ignoresPins && options.Route is not null) options = options with { Route = null };
        if (!lane.IsOpen && lane.State < QueueState.Draining) await lane.OpenAsync(cancellationToken).ConfigureAwait(false);
        using Activity? activity = QueueTelemetry.StartSend(lane, binding);
        Placing placing = new()
        {
            Number = _owner.NextNumber(), Terms = options.Terms, EnqueuedAt = lane.Clock.Now, Delay = options.DelayFrom(lane.Clock), Trace = QueueTelemetry.Traces ? (activity ?? Activity.Current)?.Context ?? default : default,
        };
        activity?.SetTag("messaging.message.id", new TaskId(_owner.Producer, placing.Number).ToString());

        try
        {
            return options.TrackResult
                ? await PlaceForResultAsync(binding, task, options, placing, cancellationToken).ConfigureAwait(false)
                : await PlaceAsync(binding, task, options, placing, cancellationToken).ConfigureAwait(false);
        }
        catch (ObjectDisposedException) when (lane.State >= QueueState.Draining)
        {
            throw _refusals.Stopped(binding); // The stop overtook us on our way to a route; nothing was sent.
        }
    }

    private async ValueTask<TaskReceipt> PlaceForResultAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, Placing placing, CancellationToken cancellationToken)
        where TTask : notnull
    {
        TaskId id = new(_owner.Producer, placing.Number);
        // The place for the result is there before anybody could have one.
        await lane.Notices.ListenAsync().ConfigureAwait(false);
        _owner.Results.Open(id, binding);
        bool sent = false;
        try
        {
            TaskReceipt receipt = await PlaceAsync(binding, task, options, placing, cancellationToken).ConfigureAwait(false);
            sent = receipt.Outcome == EnqueueOutcome.Accepted;
            return receipt;
        }
        finally
        {
            if (!sent) _owner.Results.Forget(id);
        }
    }

    private async ValueTask<TaskReceipt> PlaceAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, Placing placing, CancellationToken cancellationToken)
        where TTask : notnull
    {
        Place place = await TryPlaceAsync(binding, task, options, placing, cancellationToken).ConfigureAwait(false);
        while (place.Reason is null)
        {
            // Full: waits for room on whichever route gets it first, then judges afresh; the signal is asked for before the last try, so none is missed.
            placing.Waited = true;
            Task? roomHere = place.WaitHere ? lane.RoomHere.Next : null;
            RouteConnection? there = place.WaitThere;
            place = await TryPlaceAsync(binding, task, options, placing, cancellationToken).ConfigureAwait(false);
            if (place.Reason is null) await WaitForRoomAsync(roomHere, there, cancellationToken).ConfigureAwait(false);
        }

        if (place.Duplicate is not null) _telemetry.Duplicate(lane, binding, place.Route);
        if (place.Duplicate is { } existing) return new TaskReceipt(existing, place.Route, place.Reason, EnqueueOutcome.Duplicate) { Queue = lane.Name };
        _telemetry.Sent(lane, binding, place.Route, place.Reason);
        return new TaskReceipt(new TaskId(_owner.Producer, placing.Number), place.Route, place.Reason) { Queue = lane.Name };
    }

    private async ValueTask WaitForRoomAsync(Task? roomHere, RouteConnection? there, CancellationToken cancellationToken)
    {
        using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lane.Stopping);
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

    /// <summary>Gives the task to the first route that fits.</summary>
    /// <returns>Where it went; without a reason it went nowhere, and the place says what to wait for.</returns>
    private ValueTask<Place> TryPlaceAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, in Placing placing, CancellationToken cancellationToken)
        where TTask : notnull
    {
        bool draining = lane.State >= QueueState.Draining;
        // A handler that is still running may finish what it began: its follow-ups go to others.
        if (draining && (lane.State == QueueState.Stopped || lane.Routes.Length == 0 || !_owner.InsideHandler))
            throw _refusals.Stopped(binding);

        bool pinnedHere = options.Route == Route.InProcess;
        if (pinnedHere && options.Durability != Durability.None) throw _refusals.NotDurable(binding, options);
        bool spilled = false;
        if (options.Route is null or Route.InProcess)
        {
            bool onlyHere = pinnedHere || lane.Routes.Length == 0;
            // What must outlive a crash, or be known to others, never goes by object reference alone.
            bool byObjectAlone = options.Durability == Durability.None && placing.Delay == TimeSpan.Zero && options.UniqueKey is null && options.RepeatInterval is null;
            if (!binding.HandledHere || !lane.AcceptsHere)
            {
                if (onlyHere) throw _refusals.NoRoute(binding, options);
            }
            else if (byObjectAlone || (onlyHere && options.Durability == Durability.None))
            {
                if (options.UniqueKey is { } key && !lane.KeysHere.TryAdd(key, new TaskId(_owner.Producer, placing.Number)))
                    return new(new Place(Route.InProcess, RouteReason.KeyTaken) { Duplicate = lane.KeysHere.GetValueOrDefault(key) });
                if (TryPlaceHereOrRelease(binding, task, options, placing))
                    return new(new Place(Route.InProcess, pinnedHere ? RouteReason.Pinned : placing.Delay == TimeSpan.Zero ? lane.ReasonHere : RouteReason.DelayedHere));
                if (here.FullMode == QueueFullMode.Reject || placing.Delay > TimeSpan.Zero) throw _refusals.Full();
                bool inside = _owner.InsideHandler;
                if (onlyHere || (here.FullMode == QueueFullMode.Wait && !inside))
                    return inside ? throw _refusals.Full() : new(new Place { WaitHere = true });
                spilled = true;
            }
            else if (options.Durability <= Durability.Process && placing.Delay == TimeSpan.Zero && lane.Ring.Count < lane.Ring.Capacity)
            {
                if (TryKeep(binding, task, options, placing) is { Reason: not null } kept) return new(kept);
            }
        }

        return PlaceBeyondAsync(binding, task, options, placing, spilled, draining, cancellationToken);
    }

    private bool TryPlaceHereOrRelease<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, in Placing placing)
        where TTask : notnull
    {
        bool placed = false;
        try
        {
            return placed = TryPlaceHere(binding, task, placing, null, default, keyIsHere: options.UniqueKey is not null);
        }
        finally
        {
            if (!placed && options.UniqueKey is { } key) lane.ReleaseKey(key, new TaskId(_owner.Producer, placing.Number));
        }
    }

    private bool TryPlaceHere<TTask>(TaskBinding<TTask> binding, TTask task, in Placing placing, RouteConnection? keptBy, WorkLease kept, bool keyIsHere = false)
        where TTask : notnull
    {
        // Once full, tasks go on spilling until there is room worth mentioning; but who has waited takes what there is.
        if (lane.SpillsFromHere && !placing.Waited && keptBy is null) return false;
        object handed = roundTrip ? binding.RoundTrip(task) : task;
        TaskTerms? terms = keyIsHere ? placing.Terms! with { KeyIsHere = true } : placing.Terms;
        if (placing.Delay > TimeSpan.Zero)
            return lane.Waiting.TryAdd(new DelayedTask
            {
                Binding = binding, Id = new TaskId(_owner.Producer, placing.Number), Task = handed, EnqueuedMicroseconds = placing.EnqueuedAt, Trace = placing.Trace, Terms = terms, MustWait = true,
            }, placing.Delay);
        TaskBaggage? baggage = keptBy is not null || terms is not null || placing.Trace.TraceId != default ? new TaskBaggage { Kept = kept, KeptBy = keptBy, Trace = placing.Trace, Terms = terms } : null;
        return lane.TryHandOver(new QueuedTask { Task = handed, Binding = binding, Number = placing.Number, EnqueuedMicroseconds = placing.EnqueuedAt, Baggage = baggage });
    }

    // Written to the segment first, where it is ours and never ready, and then handed over as an object.
    private Place TryKeep<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, in Placing placing)
        where TTask : notnull
    {
        // A key is registered in the widest route; where that cannot keep, the whole task goes there.
        RouteConnection? route = Array.Find(lane.Routes, r => r.Channel.CanSendAndLease && r.Route.Durability >= options.Durability);
        if (route is null || (options.UniqueKey is not null && !ReferenceEquals(route, lane.Routes[^1]))) return default;
        EnvelopeBuffer message = binding.WriteTyped(task, Header(placing));
        try
        {
            if (message.Length > route.Channel.MaxMessageBytes) return default;
            SendResult answer = route.Channel.TrySendAndLease(message.Written, Terms(placing), out WorkLease lease);
            if (answer.Outcome == SendOutcome.Duplicate) return new Place(route.Route.Route, RouteReason.KeyTaken) { Duplicate = answer.Existing };
            if (answer.Outcome != SendOutcome.Sent) return default;
            try
            {
                if (TryPlaceHere(binding, task, placing, route, lease)) return new Place(Route.InProcess, options.Durability == Durability.None ? RouteReason.KeptForKey : RouteReason.Kept);
            }
            catch
            {
                lease.Complete(); // Refused by the round trip: the producer is told, so nobody must find it.
                throw;
            }

            lease.Abandon(countAttempt: false); // The ring filled up meanwhile; it is in the segment already, so anyone may have it.
            lane.NoteSpilled();
            return new Place(route.Route.Route, lane.SpilledReason);
        }
        finally
        {
            message.Return();
        }
    }

    private async ValueTask<Place> PlaceBeyondAsync<TTask>(
        TaskBinding<TTask> binding, TTask task, EnqueueOptions options, Placing placing, bool spilled, bool draining, CancellationToken cancellationToken)
        where TTask : notnull
    {
        RouteConnection[] routes = lane.Routes;
        RouteConnection best = Choose(routes, options, spilled) ?? throw _refusals.NoRoute(binding, options);
        RouteConnection? fits = null;
        int largest = 0;
        EnvelopeBuffer message = binding.WriteTyped(task, Header(placing));
        try
        {
            for (int i = -1; i < routes.Length; i++)
            {
                RouteConnection route = i < 0 ? best : routes[i];
                if (i >= 0 && (ReferenceEquals(route, best) || options.Route is not null || options.UniqueKey is not null || route.Route.Durability < options.Durability)) continue;
                largest = Math.Max(largest, route.Channel.MaxMessageBytes);
                if (message.Length > route.Channel.MaxMessageBytes) continue;
                fits ??= route;
                string reason = spilled ? lane.SpilledReason : i >= 0 ? best.PassedOverReason : Reason(route, options, placing, draining);
                SendResult answer = await route.SendAsync(message.Written, Terms(placing), cancellationToken).ConfigureAwait(false);
                if (answer.Outcome == SendOutcome.Duplicate) return new Place(route.Route.Route, RouteReason.KeyTaken) { Duplicate = answer.Existing };
                if (answer.Outcome != SendOutcome.Sent) continue;
                if (spilled || i >= 0) lane.NoteSpilled();
                return new Place(route.Route.Route, reason);
            }
        }
        finally
        {
            message.Return();
        }

        if (fits is null && !spilled) throw _refusals.TooLarge(binding, best, message.Length, largest);
        // A handler that waited for room could be waiting for itself.
        if (best.Route.FullMode == QueueFullMode.Reject || _owner.InsideHandler) throw _refusals.Full();
        return new Place { WaitHere = spilled, WaitThere = fits };
    }

    /// <summary>The route to try first: where a worker is known, nearest first; else where a task is kept best until somebody comes.</summary>
    private static RouteConnection? Choose(RouteConnection[] routes, EnqueueOptions options, bool spilled)
    {
        RouteConnection? nearest = null, widest = null;
        // One register of keys, whoever works where: the widest route, and no other while that is full or out of reach.
        if (options is { UniqueKey: not null, Route: null }) return routes.LastOrDefault(r => r.Route.Durability >= options.Durability);
        foreach (RouteConnection route in routes)
        {
            if (options.Route is { } pin && pin != route.Route.Route || route.Route.Durability < options.Durability) continue;
            if (options.Durability != Durability.None && options.Route is null && !route.IsPassedOver) return route; // Durable goes the nearest way that is durable enough.
            if (options.Durability == Durability.None && !route.IsPassedOver && route.Channel.OtherWorkers > 0) return route;
            nearest ??= route;
            if (!route.IsPassedOver || widest is null) widest = route;
        }

        // Nobody is known beyond. A spill stays near, since workers are here; else the widest route finds somebody soonest.
        return spilled || options.Durability != Durability.None ? nearest : widest;
    }

    private static string Reason(RouteConnection route, EnqueueOptions options, in Placing placing, bool draining)
    {
        if (options.Route is not null) return RouteReason.Pinned;
        if (draining) return RouteReason.Draining;
        if (options.UniqueKey is not null) return RouteReason.Keyed;
        if (options.Durability != Durability.None) return RouteReason.Durable;
        if (placing.Delay > TimeSpan.Zero) return RouteReason.Delayed;
        if (route.Channel.OtherWorkers == 0) return route.Route.NoWorkerReason;
        return RouteReason.Attached(route.Route.Route);
    }

    /// <summary>Where a task would go now, without sending one.</summary>
    internal (Route Route, string Reason) Foresee(TaskBinding binding, EnqueueOptions options)
    {
        bool here = (options.Route is null or Route.InProcess) && binding.HandledHere && lane.AcceptsHere;
        bool byObjectAlone = options.Durability == Durability.None && options is { Delay.Ticks: 0, NotBefore: null, UniqueKey: null, RepeatInterval: null };
        if (options.Route == Route.InProcess || lane.Routes.Length == 0)
            return here ? (Route.InProcess, options.Route is null ? lane.ReasonHere : RouteReason.Pinned) : throw _refusals.NoRoute(binding, options);
        bool spills = lane.SpillsFromHere || lane.Ring.Count >= lane.Ring.Capacity;
        if (here && !spills && byObjectAlone) return (Route.InProcess, lane.ReasonHere);
        if (here && !spills && options.Durability <= Durability.Process && options is { Delay.Ticks: 0, NotBefore: null } && Array.Find(lane.Routes, static r => r.Channel.CanSendAndLease) is { } keeps
            && (options.UniqueKey is null || ReferenceEquals(keeps, lane.Routes[^1])))
            return (Route.InProcess, options.Durability == Durability.None ? RouteReason.KeptForKey : RouteReason.Kept);
        RouteConnection best = Choose(lane.Routes, options, spills) ?? throw _refusals.NoRoute(binding, options);
        Placing placing = new() { Delay = options.DelayFrom(lane.Clock) };
        return (best.Route.Route, here && spills && byObjectAlone ? lane.SpilledReason : Reason(best, options, placing, lane.State >= QueueState.Draining));
    }

    private EnvelopeHeader Header(in Placing placing) => new()
    {
        Id = new TaskId(_owner.Producer, placing.Number),
        EnqueuedMicroseconds = placing.EnqueuedAt,
        NotBeforeMicroseconds = placing.Delay > TimeSpan.Zero ? placing.EnqueuedAt + (long)placing.Delay.TotalMicroseconds : 0,
        Trace = placing.Trace,
        Key = placing.Terms?.Key,
        Every = placing.Terms?.Every ?? default,
        WantsResult = placing.Terms?.WantsResult ?? false,
        Pinned = placing.Terms?.Pinned ?? false,
    };

    private SendOptions Terms(in Placing placing) => new(new TaskId(_owner.Producer, placing.Number), placing.Delay, placing.Terms?.Key);

    // One task while it looks for its place.
    private struct Placing
    {
        internal ulong Number;
        internal long EnqueuedAt;
        internal TimeSpan Delay;
        internal TaskTerms? Terms;
        internal ActivityContext Trace;
        internal bool Waited;
    }

    // Where it went, or what it waits for.
    private readonly record struct Place(Route Route, string? Reason)
    {
        internal bool WaitHere { get; init; }

        internal RouteConnection? WaitThere { get; init; }

        internal TaskId? Duplicate { get; init; }
    }
}
