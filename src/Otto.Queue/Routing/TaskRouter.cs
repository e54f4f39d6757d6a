using System.Diagnostics;
using System.Globalization;

namespace Otto.Queue;

// Where a task goes, judged again for each task: the first line that fits. The judgement reads top down in TryJudge.

internal sealed class TaskRouter(Lane lane, InProcessOptions here, bool roundTrip)
{
    private readonly QueueTelemetry _telemetry = lane.Telemetry;
    private readonly TaskQueue _owner = lane.Owner;

    internal ValueTask<TaskReceipt> EnqueueAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions? options, CancellationToken cancellation)
        where TTask : notnull
    {
        // The short way: nothing asked for, nobody watches, a worker here has room.
        if (options is null && binding.HandledHere && lane.AcceptsHere && !roundTrip && !_telemetry.ObservesSending)
        {
            ulong number = _owner.NextNumber();
            if (lane.TryHandOver(new QueuedTask { Task = task, Binding = binding, Number = number, EnqueuedMicroseconds = _telemetry.TimesWaits ? lane.Clock.Now : lane.Clock.RoughlyNow }))
                return new ValueTask<TaskReceipt>(new TaskReceipt(new TaskId(_owner.Producer, number), Route.InProcess, lane.ReasonHere));
        }

        return JudgeAsync(binding, task, options ?? EnqueueOptions.Default, cancellation);
    }

    private ValueTask<TaskReceipt> JudgeAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, CancellationToken cancellation)
        where TTask : notnull
    {
        if (cancellation.IsCancellationRequested) return ValueTask.FromCanceled<TaskReceipt>(cancellation);
        if (!lane.IsOpen || QueueTelemetry.Traces) return WaitAndPlaceAsync(binding, task, options, cancellation);
        Placing placing = new() { Number = _owner.NextNumber(), EnqueuedAt = lane.Clock.Now };
        return TryPlace(binding, task, options, ref placing)
            ? new ValueTask<TaskReceipt>(Receive(binding, placing))
            : WaitAndPlaceAsync(binding, task, options, placing, cancellation);
    }

    private async ValueTask<TaskReceipt> WaitAndPlaceAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, CancellationToken cancellation)
        where TTask : notnull
    {
        if (!lane.IsOpen && lane.State < LaneState.Draining) await lane.OpenAsync(cancellation).ConfigureAwait(false);
        using Activity? activity = QueueTelemetry.StartSend(lane, binding);
        Placing placing = new() { Number = _owner.NextNumber(), EnqueuedAt = lane.Clock.Now, Trace = (activity ?? Activity.Current)?.Context ?? default };
        activity?.SetTag("messaging.message.id", new TaskId(_owner.Producer, placing.Number).ToString());
        return TryPlace(binding, task, options, ref placing)
            ? Receive(binding, placing)
            : await WaitAndPlaceAsync(binding, task, options, placing, cancellation).ConfigureAwait(false);
    }

    // Full: waits for room on whichever route gets it first, then judges afresh.
    private async ValueTask<TaskReceipt> WaitAndPlaceAsync<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, Placing placing, CancellationToken cancellation)
        where TTask : notnull
    {
        while (true)
        {
            using CancellationTokenSource woken = CancellationTokenSource.CreateLinkedTokenSource(cancellation, lane.Stopping);
            Task? roomHere = placing.WaitHere ? lane.RoomHere.Next : null;
            if (TryPlace(binding, task, options, ref placing)) return Receive(binding, placing);
            Task? roomThere = placing.WaitThere?.Queue.WaitToSendAsync(woken.Token).AsTask();
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
            cancellation.ThrowIfCancellationRequested();
        }
    }

    private TaskReceipt Receive(TaskBinding binding, in Placing placing)
    {
        _telemetry.Sent(lane, binding, placing.Route, placing.Reason!);
        return new TaskReceipt(new TaskId(_owner.Producer, placing.Number), placing.Route, placing.Reason!);
    }

    private bool TryPlace<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, ref Placing placing)
        where TTask : notnull
    {
        try
        {
            return TryJudge(binding, task, options, ref placing);
        }
        catch (ObjectDisposedException) when (lane.State >= LaneState.Draining)
        {
            throw Stopped(binding); // The stop overtook us on our way to the segment; nothing was sent.
        }
    }

    /// <summary>Gives the task to the first route that fits.</summary>
    /// <returns><see langword="false"/> where the caller must wait, as <paramref name="placing"/> says for what.</returns>
    private bool TryJudge<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, ref Placing placing)
        where TTask : notnull
    {
        placing.WaitHere = false;
        placing.WaitThere = null;
        bool draining = lane.State >= LaneState.Draining;
        // A handler that is still running may finish what it began: its follow-ups go to others.
        if (draining && (lane.State == LaneState.Stopped || lane.Routes.Length == 0 || !_owner.InsideHandler))
            throw Stopped(binding);

        if (options.Durability != Durability.None) return TryPlaceDurable(binding, task, options, ref placing);

        bool spilled = false;
        if (options.Route is null or Route.InProcess)
        {
            if (binding.HandledHere && lane.AcceptsHere)
            {
                if (TryPlaceHere(binding, task, null, null, ref placing))
                {
                    placing.Reason = options.Route is not null ? RouteReasons.Pinned : lane.ReasonHere;
                    return true;
                }

                if (here.WhenFull == WhenFull.Reject) throw Full();
                bool inside = _owner.InsideHandler;
                if (options.Route is not null || lane.Routes.Length == 0 || (here.WhenFull == WhenFull.Wait && !inside))
                {
                    if (inside) throw Full();
                    placing.WaitHere = true;
                    return false;
                }

                spilled = true;
            }
            else if (options.Route is not null || lane.Routes.Length == 0)
            {
                throw NoRoute(binding, options);
            }
        }

        return TryPlaceBeyond(binding, task, options, spilled, draining, ref placing);
    }

    private bool TryPlaceHere<TTask>(TaskBinding<TTask> binding, TTask task, RouteQueue? keptBy, Otto.Ipc.WorkLease? kept, ref Placing placing)
        where TTask : notnull
    {
        TaskBaggage? baggage = keptBy is not null || placing.Trace.TraceId != default
            ? new TaskBaggage { Kept = kept.GetValueOrDefault(), KeptBy = keptBy, Trace = placing.Trace }
            : null;
        object handed = roundTrip ? binding.RoundTrip(task) : task;
        placing.Route = Route.InProcess;
        return lane.TryHandOver(new QueuedTask { Task = handed, Binding = binding, Number = placing.Number, EnqueuedMicroseconds = placing.EnqueuedAt, Baggage = baggage });
    }

    private bool TryPlaceBeyond<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, bool spilled, bool draining, ref Placing placing)
        where TTask : notnull
    {
        RouteQueue[] routes = lane.Routes;
        RouteQueue? pinned = options.Route is { } pin and not Route.InProcess ? Find(pin) ?? throw NoRoute(binding, options) : null;
        RouteQueue best = pinned ?? Choose(routes, spilled);
        EnvelopeBuffer message = binding.WriteTyped(task, Header(placing));
        int largest = 0;
        try
        {
            for (int i = -1; i < routes.Length; i++)
            {
                RouteQueue route = i < 0 ? best : routes[i];
                if (i >= 0 && (ReferenceEquals(route, best) || pinned is not null)) continue;
                largest = Math.Max(largest, route.Queue.MaxMessageBytes);
                if (message.Length > route.Queue.MaxMessageBytes || !route.TrySend(message.Written)) continue;
                placing.Route = route.Route.Route;
                placing.Reason = pinned is not null ? RouteReasons.Pinned : spilled ? lane.SpilledReason : draining ? RouteReasons.Draining : Known(route);
                if (spilled) lane.NoteSpilled();
                return true;
            }

            return WaitOrRefuse(binding, best, message.Length, largest, spilled, ref placing);
        }
        finally
        {
            message.Return();
        }
    }

    private bool TryPlaceDurable<TTask>(TaskBinding<TTask> binding, TTask task, EnqueueOptions options, ref Placing placing)
        where TTask : notnull
    {
        RouteQueue route = FindDurable(binding, options);
        EnvelopeBuffer message = binding.WriteTyped(task, Header(placing));
        try
        {
            int limit = route.Queue.MaxMessageBytes;
            if (message.Length > limit) return WaitOrRefuse(binding, route, message.Length, limit, false, ref placing);
            bool keep = options.Route is null && options.Durability == Durability.Process && binding.HandledHere && lane.AcceptsHere && lane.Ring.Count < lane.Ring.Capacity;
            if (keep)
            {
                if (!route.Queue.TryKeep(message.Written, out Otto.Ipc.WorkLease lease)) return WaitOrRefuse(binding, route, message.Length, limit, false, ref placing);
                bool placed;
                try
                {
                    placed = TryPlaceHere(binding, task, route, lease, ref placing);
                }
                catch
                {
                    lease.Complete(); // Refused by the round trip: the producer is told, so nobody must find it.
                    throw;
                }

                placing.Reason = placed ? RouteReasons.Kept : lane.SpilledReason;
                if (placed) return true;
                lease.Abandon(countAttempt: false); // The ring filled up meanwhile; it is in the segment already, so anyone may have it.
                placing.Route = route.Route.Route;
                lane.NoteSpilled();
                return true;
            }

            if (!route.TrySend(message.Written)) return WaitOrRefuse(binding, route, message.Length, limit, false, ref placing);
            placing.Route = route.Route.Route;
            placing.Reason = options.Route is not null ? RouteReasons.Pinned : RouteReasons.Durable;
            return true;
        }
        finally
        {
            message.Return();
        }
    }

    private static RouteQueue Choose(RouteQueue[] routes, bool spilled)
    {
        foreach (RouteQueue route in routes)
            if (route.Queue.OtherWorkers > 0) return route;
        // Nobody is known beyond. A spill stays near, since workers are here; else the widest route finds somebody soonest.
        return spilled ? routes[0] : routes[^1];
    }

    private static string Known(RouteQueue route)
    {
        if (route.Queue.OtherWorkers == 0) return route.Route.NobodyKnownReason;
        return route.Route.Route == Route.SharedMemory ? RouteReasons.WorkerAttached : RouteReasons.WorkerElsewhere;
    }

    private RouteQueue? Find(Route wanted)
    {
        foreach (RouteQueue route in lane.Routes)
            if (route.Route.Route == wanted) return route;
        return null;
    }

    private RouteQueue FindDurable(TaskBinding binding, EnqueueOptions options)
    {
        foreach (RouteQueue route in lane.Routes)
            if (route.Route.Durability >= options.Durability && (options.Route is null || options.Route == route.Route.Route)) return route;
        string missing = options.Durability == Durability.Cluster ? "a route that leaves the machine (add Otto.Queue.Redis)" : "shared memory";
        throw new InvalidOperationException(options.Route is null
            ? $"task '{binding.Name}' asks for durability {options.Durability}, which needs {missing}; configured: {Configured()}"
            : $"task '{binding.Name}' asks for durability {options.Durability} and is pinned to {options.Route}, which cannot give it");
    }

    private bool WaitOrRefuse(TaskBinding binding, RouteQueue route, int bytes, int largest, bool spilled, ref Placing placing)
    {
        bool tooLarge = bytes > largest;
        if (tooLarge && !spilled)
            throw new TaskSerializationException(string.Create(CultureInfo.InvariantCulture,
                $"task '{binding.Name}' of {bytes:N0} bytes with its envelope exceeds the {largest:N0} that queue '{lane.Name}' takes on {route.Route.Route}; raise SharedMemory.MaxLoanBytes, or SharedMemory.SlotBytes"));
        // A handler that waited for room could be waiting for itself.
        if (route.Route.WhenFull == WhenFull.Reject || _owner.InsideHandler) throw Full();
        placing.WaitHere = spilled;
        placing.WaitThere = tooLarge ? null : route;
        return false;
    }

    private EnvelopeHeader Header(in Placing placing) => new()
    {
        Id = new TaskId(_owner.Producer, placing.Number), EnqueuedMicroseconds = placing.EnqueuedAt, Trace = placing.Trace,
    };

    private QueueStoppedException Stopped(TaskBinding binding) => new($"queue '{lane.Name}' is stopping and takes no new tasks; '{binding.Name}' was not enqueued");

    private QueueFullException Full()
    {
        lane.NoteRejected();
        string beyond = lane.Routes.Length == 0 ? "no other route is on" : string.Join(", ", lane.Routes.Select(static r =>
            string.Create(CultureInfo.InvariantCulture, $"{r.Route.Route}: {r.Queue.GetCounts().Free:N0} of {r.Queue.Capacity:N0} free")));
        return new QueueFullException(string.Create(CultureInfo.InvariantCulture,
            $"queue '{lane.Name}' is full: {lane.Ring.Count:N0} of {lane.Ring.Capacity:N0} tasks wait here ({beyond}); raise InProcess.Capacity or SharedMemory.Slots, or let producers wait (WhenFull)"));
    }

    private InvalidOperationException NoRoute(TaskBinding binding, EnqueueOptions options) => new(options.Route is { } pin
        ? $"task '{binding.Name}' is pinned to {pin}, but {(pin == Route.InProcess ? "no worker for it runs in this process" : $"that route is not configured; configured: {Configured()}")}"
        : $"task '{binding.Name}' has no way to go: no worker for it runs in this process, and no other route is on; start the queue, or call SharedMemory()");

    private string Configured() => string.Join(", ", lane.Routes.Select(static r => r.Route.Route).Prepend(Route.InProcess));

    // One task while it looks for its place.
    private struct Placing
    {
        internal ulong Number;
        internal long EnqueuedAt;
        internal ActivityContext Trace;
        internal Route Route;
        internal string? Reason;
        internal bool WaitHere;
        internal RouteQueue? WaitThere;
    }
}
