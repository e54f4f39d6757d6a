using Otto.Ipc;
using Otto.Ipc.Transports;

namespace Otto.Queue;

// A message that this process has leased from a route: the in-process queue carries it along, and the end of the task ends the lease.

internal sealed class HeldMessage(WorkLease lease, RouteName route)
{
    private readonly WorkLease _lease = lease;

    /// <summary>The route that has the message.</summary>
    internal RouteName Route => route;

    /// <summary>Whether its route knows that the task is to be cancelled.</summary>
    internal bool IsCancelRequested => _lease.IsCancelRequested;

    /// <summary>Reports to the route how this process works on the task.</summary>
    internal void SetHandling(WorkHandling handling) => _lease.SetHandling(handling);

    /// <summary>Ends the lease: the task is done.</summary>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    internal bool Complete() => _lease.Complete();

    /// <summary>Ends the lease: the task is done, and its route keeps the result.</summary>
    /// <param name="result">The result, as an event.</param>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    /// <exception cref="IOException">There is no room for it.</exception>
    internal bool Complete(ReadOnlySpan<byte> result) => _lease.Complete(result);

    /// <summary>Returns the message to its route.</summary>
    /// <param name="countAttempt">Whether the attempt counts.</param>
    /// <param name="delay">How long no worker gets it.</param>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    internal bool Abandon(bool countAttempt, TimeSpan delay = default) => _lease.Abandon(countAttempt, delay);

    /// <summary>Puts the message among the dead letters.</summary>
    /// <param name="reason">Why.</param>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    internal bool DeadLetter(string reason) => _lease.DeadLetter(reason);

    /// <summary>Returns the message for its next time, its attempts forgotten.</summary>
    /// <param name="delay">How long until then.</param>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    internal bool Repeat(TimeSpan delay) => _lease.Repeat(delay);
}
