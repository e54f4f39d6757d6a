namespace Otto.Ipc;

// Thrown once for each gap, before any message from behind it.

/// <summary>
/// A subscriber fell so far behind that its topic disconnected it; <see cref="MessageSubscriber.ResumeFrom"/> resumes
/// and returns how much was lost.
/// </summary>
/// <remarks>
/// Only topics with the policy to disconnect slow subscribers throw this. No message from behind the gap is received
/// before.
/// </remarks>
public sealed class SubscriberDisconnectedException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">Which subscriber, and by how much it fell behind.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public SubscriberDisconnectedException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
