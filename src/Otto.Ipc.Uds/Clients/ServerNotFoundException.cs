namespace Otto.Ipc.Uds;

/// <summary>No server listens at a socket's path.</summary>
public sealed class ServerNotFoundException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">The path without a server, and what to do about it.</param>
    /// <param name="innerException">The cause, if there is one.</param>
    public ServerNotFoundException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }
}
