namespace Otto.Queue;

// Optional: an event can be missed, so what the route keeps is asked for now and then.

/// <summary>A <see cref="TaskChannel"/> that can be asked for a result whose event was missed.</summary>
public interface IResultChannel
{
    /// <summary>Asks for the event of a task's result that may have been missed, or of its failure if the route has it
    /// among the dead letters.</summary>
    /// <param name="id">The task.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The event; <see langword="null"/> if there is none.</returns>
    ValueTask<ReadOnlyMemory<byte>?> FindResultAsync(TaskId id, CancellationToken cancellationToken);
}
