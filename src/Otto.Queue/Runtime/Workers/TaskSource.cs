using System.Text;
using Otto.Ipc;
using Otto.Ipc.Transports;

namespace Otto.Queue;

// Where workers get tasks: retries first, then each route in turn by weight. A message that cannot be run here is returned if another
// process may have its handler, else put among the dead letters.

internal sealed class TaskSource(QueueContext context, TaskRegistrations tasks, LocalQueue local, RouteConnections routes,
    FailureHandler failures, IsolationGate isolation)
{
    private readonly HashSet<string> _unhandledNames = [];
    private volatile bool _takesLocal;
    private volatile bool _takesDelayed;

    /// <summary>Whether a route here gets its answers over the network.</summary>
    internal bool UsesNetwork => routes.UsesNetwork;

    /// <summary>Whether a worker that looked now would find something.</summary>
    internal bool HasWork
    {
        get
        {
            if (context.Lifetime.ServicesGone) return false;
            if (isolation.IsWanted) return false; // Who holds it wakes the workers when it ends.
            if (_takesLocal && local.Ring.HasReady) return true;
            if (_takesDelayed && local.Delayed.HasReady) return true;
            foreach (RouteReceiver route in routes.Receivers)
                if (route.MayHaveWork) return true;
            return false;
        }
    }

    internal void Start() => _takesLocal = _takesDelayed = true;

    internal void Stop()
    {
        _takesLocal = false;
        _takesDelayed = false;
    }

    /// <summary>Lets workers take tasks that waited here, and nothing else: what no route could take at a stop is run
    /// here.</summary>
    internal void TakeDelayed(bool take) => _takesDelayed = take;

    /// <summary>Finds the next task for a worker, and loads it.</summary>
    /// <param name="run">Where the task is loaded.</param>
    /// <param name="turn">Whose turn it is for this worker.</param>
    /// <param name="poll">Whether to check every route, even those that said they are empty.</param>
    internal bool TryTake(TaskRun run, ref SourceTurn turn, bool poll)
    {
        if (isolation.IsWanted || context.Lifetime.ServicesGone) return false;
        if (_takesDelayed && local.Delayed.TryTake(out DelayedTask? waiting))
        {
            run.Load(waiting!);
            return true;
        }

        RouteReceiver[] all = routes.Receivers;
        for (int sources = all.Length + 1; sources >= 0; sources--)
        {
            if (turn.Source == 0)
            {
                if (turn.Credit > 0 && _takesLocal && local.TryDequeue(out QueuedTask task))
                {
                    turn.Credit--;
                    run.Load(task);
                    return true;
                }
            }
            else
            {
                RouteReceiver route = all[turn.Source - 1];
                while (turn.Credit > 0 && route.TryLease(poll, out WorkLease lease))
                {
                    turn.Credit--;
                    if (!TryRead(route, lease, out ReceivedTask received)) continue;
                    run.Load(received);
                    return true;
                }
            }

            turn.Source = turn.Source >= all.Length ? 0 : turn.Source + 1;
            turn.Credit = turn.Source == 0 ? local.Weight : all[turn.Source - 1].Weight;
        }

        return false;
    }

    /// <summary>Reads a message.</summary>
    /// <returns><see langword="false"/> if it cannot be run here; its lease has ended then.</returns>
    private bool TryRead(RouteReceiver route, in WorkLease lease, out ReceivedTask received)
    {
        received = default;
        string? problem = EnvelopeReader.Read(lease.Payload.Span, out received.Header, out ReadOnlySpan<byte> name, out int payloadAt);
        if (problem is not null)
        {
            if (EnvelopeReader.IsNewer(lease.Payload.Span)) failures.OfferUnread(route.Name, lease, problem);
            else failures.DeadLetterUnread(route.Name, lease, problem);
            return false;
        }

        if (tasks.FindHandled(name) is not { } registration)
        {
            Return(route, lease, name);
            return false;
        }

        if ((received.Header.Metadata is { Repeats: true } || lease.Attempt > 1) && lease.IsCancelRequested)
        {
            failures.EndCancelled(new DelayedTask
            {
                Registration = registration, Id = received.Header.Id, Metadata = received.Header.Metadata,
                Held = new HeldMessage(lease, route.Name),
            });
            return false;
        }

        DeliveryHistory history = lease.Attempt > 1 ? lease.GetHistory() : default;
        int attempt = received.Header.AttemptsBefore + lease.Attempt;
        if (received.Header.Format != registration.Serializer.Format)
        {
            problem = $"payload: format {received.Header.Format}, but the handler of '{registration.Name}' reads format "
                + $"{registration.Serializer.Format}";
            failures.OfferUnread(route.Name, lease, problem, registration, received.Header);
            return false;
        }

        if (attempt - history.UnprovenAttempts > registration.Retry.MaxAttempts)
            problem = $"attempt {attempt} of at most {registration.Retry.MaxAttempts}: "
                + (history.HolderDied ? "its worker process died while it ran it" : "earlier workers died during it or returned it");
        if (problem is not null)
        {
            failures.DeadLetterUnread(route.Name, lease, problem, registration, received.Header);
            return false;
        }

        route.OnTaken();
        received.Registration = registration;
        received.History = history;
        received.Attempt = attempt;
        received.Payload = lease.Payload[payloadAt..];
        received.Lease = lease;
        received.Route = route.Name;
        received.Evidence = route.Evidence;
        return true;
    }

    // Said once a name.
    private void Return(RouteReceiver route, in WorkLease lease, ReadOnlySpan<byte> name)
    {
        string text = Encoding.UTF8.GetString(name); // Before the lease ends: the bytes are the segment's.
        route.Return(lease, name);
        context.Telemetry.GivenBack(context.NameTag);
        lock (_unhandledNames)
        {
            // Bounded: the names come from other processes.
            if (_unhandledNames.Count >= 100 || !_unhandledNames.Add(text)) return;
        }

        context.Log.NoHandler(context.Name, text, route.Name);
    }
}

/// <summary>Which source a worker takes from, and how many tasks more: 0 is the ring, then the routes in
/// order.</summary>
internal struct SourceTurn
{
    internal int Source;

    internal int Credit;
}

/// <summary>A message that was leased from a route and is known to be a task that can be run here.</summary>
internal struct ReceivedTask
{
    internal TaskRegistration Registration;

    internal EnvelopeHeader Header;

    internal int Attempt;

    internal DeliveryHistory History;

    internal ICrashEvidenceChannel? Evidence;

    internal ReadOnlyMemory<byte> Payload;

    internal WorkLease Lease;

    internal RouteName Route;
}
