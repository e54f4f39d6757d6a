using Otto.Ipc;

namespace Otto.Queue;

// A message that was leased from a route and is known to be a task that can be run here.

internal struct ReceivedTask
{
    internal TaskRegistration Registration;

    internal EnvelopeHeader Header;

    internal int Attempt;

    internal ReadOnlyMemory<byte> Payload;

    internal WorkLease Lease;

    internal RouteName Route;
}
