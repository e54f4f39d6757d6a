using Otto.Ipc;

namespace Otto.Queue;

// Optional: without it a task that was given up is only logged.

/// <summary>A <see cref="TaskChannel"/> that keeps tasks which were given up.</summary>
public interface IDeadLetterChannel
{
    /// <summary>Puts an envelope among the dead letters without its ever being ready.</summary>
    /// <param name="message">The envelope; copied before this returns.</param>
    /// <param name="reason">Why, for the person who looks.</param>
    /// <returns><see langword="false"/> if there is no room or no way.</returns>
    ValueTask<bool> DeadLetterAsync(ReadOnlySpan<byte> message, string reason);

    /// <summary>Copies out dead letters.</summary>
    /// <param name="max">The most to return.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The letters, oldest first.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<IReadOnlyList<DeadLetter>> GetDeadLettersAsync(int max, CancellationToken cancellationToken);

    /// <summary>Makes a dead letter ready again, its attempts forgotten.</summary>
    /// <param name="letter">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> if it is no longer among the dead.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<bool> RequeueAsync(DeadLetterId letter, CancellationToken cancellationToken);

    /// <summary>Removes a dead letter permanently.</summary>
    /// <param name="letter">Which one.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns><see langword="false"/> if it is no longer among the dead.</returns>
    /// <exception cref="IOException">The route cannot be reached.</exception>
    ValueTask<bool> DeleteAsync(DeadLetterId letter, CancellationToken cancellationToken);
}
