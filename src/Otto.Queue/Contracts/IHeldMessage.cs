namespace Otto.Queue;

// A message that this process has leased from a route, without saying which lease and which route: the in-process ring carries it along.

internal interface IHeldMessage
{
    /// <summary>The route that has the message.</summary>
    RouteName Route { get; }

    /// <summary>Ends the lease: the task is done.</summary>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    bool Complete();

    /// <summary>Gives the message back.</summary>
    /// <param name="countAttempt">Whether the attempt counts.</param>
    /// <param name="delay">How long no worker gets it.</param>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    bool Abandon(bool countAttempt, TimeSpan delay = default);

    /// <summary>Puts the message among the dead letters.</summary>
    /// <param name="reason">Why.</param>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    bool DeadLetter(string reason);

    /// <summary>Gives the message back for its next time, its attempts forgotten.</summary>
    /// <param name="delay">How long until then.</param>
    /// <returns><see langword="false"/> if the lease had ended before.</returns>
    bool Repeat(TimeSpan delay);
}
