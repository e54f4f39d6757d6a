using System.Text;
using Otto.Ipc;

namespace Otto.Queue;

// Reads what routes deliver. What cannot be run here is dealt with: given back if another process may have its handler, else put among the
// dead letters.

internal sealed class TaskReader(QueueContext context, TaskRegistrations tasks, FailureHandler failures)
{
    private readonly HashSet<string> _unhandledNames = [];

    /// <summary>Reads a message.</summary>
    /// <returns><see langword="false"/> if it cannot be run here; its lease has ended then.</returns>
    internal bool TryRead(RouteConnection route, in WorkLease lease, out ReceivedTask received)
    {
        received = default;
        string? problem = EnvelopeHeader.Read(lease.Payload.Span, out received.Header, out ReadOnlySpan<byte> name, out int payloadAt);
        if (problem is not null)
        {
            failures.DeadLetterUnread(route.Name, lease, problem);
            return false;
        }

        if (tasks.FindHandled(name) is not { } registration)
        {
            Return(route, lease, name);
            return false;
        }

        int attempt = received.Header.AttemptsBefore + lease.Attempt;
        if (received.Header.Format != registration.Serializer.Format)
            problem = $"payload: format {received.Header.Format}, but the handler of '{registration.Name}' reads format "
                + $"{registration.Serializer.Format}";
        else if (attempt > registration.Retry.MaxAttempts)
            problem = $"attempt {attempt} of at most {registration.Retry.MaxAttempts}: earlier workers died during it or returned it";
        if (problem is not null)
        {
            failures.DeadLetterUnread(route.Name, lease, problem, registration, received.Header);
            return false;
        }

        route.OnTaken();
        received.Registration = registration;
        received.Attempt = attempt;
        received.Payload = lease.Payload[payloadAt..];
        received.Lease = lease;
        received.Route = route.Name;
        return true;
    }

    // Said once a name.
    private void Return(RouteConnection route, in WorkLease lease, ReadOnlySpan<byte> name)
    {
        string text = Encoding.UTF8.GetString(name); // Before the lease ends: the bytes are the segment's.
        route.Return(lease);
        context.Telemetry.GivenBack(context.NameTag);
        lock (_unhandledNames)
        {
            // Bounded: the names come from other processes.
            if (_unhandledNames.Count >= 100 || !_unhandledNames.Add(text)) return;
        }

        context.Log.NoHandler(context.Name, text, route.Name);
    }
}

/// <summary>A message that was leased from a route and is known to be a task that can be run here.</summary>
internal struct ReceivedTask
{
    internal TaskRegistration Registration;

    internal EnvelopeHeader Header;

    internal int Attempt;

    internal ReadOnlyMemory<byte> Payload;

    internal WorkLease Lease;

    internal RouteName Route;
}
