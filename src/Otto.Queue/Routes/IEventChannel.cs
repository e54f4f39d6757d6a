namespace Otto.Queue;

// Optional: without it a producer learns nothing of tasks that run in other processes.

/// <summary>A <see cref="TaskChannel"/> that carries events beside its tasks: cancels, results and progress.</summary>
public interface IEventChannel
{
    /// <summary>Whether events reach other processes on this route.</summary>
    bool CarriesEvents { get; }

    /// <summary>Receives from now on what others publish with <see cref="NotifyAsync"/>. Further calls do
    /// nothing.</summary>
    /// <param name="received">Called for each event, by any thread, the bytes valid until it returns; must not
    /// block.</param>
    /// <returns>Completes when whatever is published from now on is received.</returns>
    ValueTask ListenAsync(Action<ReadOnlyMemory<byte>> received);

    /// <summary>Publishes an event to every process that listens on this queue. Not kept: a process that does not
    /// listen, or listens too slowly, misses it.</summary>
    /// <param name="message">The event.</param>
    /// <param name="resultOf">The task whose result it is, so that the route may keep it for a while for processes that
    /// ask later; <see langword="null"/> for no result.</param>
    /// <returns>Completes when it was published.</returns>
    /// <exception cref="IOException">The route cannot be reached, or the event is too large for it.</exception>
    ValueTask NotifyAsync(ReadOnlyMemory<byte> message, TaskId? resultOf = null);
}
