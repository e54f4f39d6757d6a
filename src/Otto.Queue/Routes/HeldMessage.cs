using Otto.Ipc;

namespace Otto.Queue;

// A lease and the route that it came from, for those who may end it and need not know either.

internal sealed class HeldMessage(WorkLease lease, RouteName route) : IHeldMessage
{
    private readonly WorkLease _lease = lease;

    public RouteName Route => route;

    public bool Complete() => _lease.Complete();

    public bool Abandon(bool countAttempt, TimeSpan delay = default) => _lease.Abandon(countAttempt, delay);

    public bool DeadLetter(string reason) => _lease.DeadLetter(reason);

    public bool Repeat(TimeSpan delay) => _lease.Repeat(delay);
}
