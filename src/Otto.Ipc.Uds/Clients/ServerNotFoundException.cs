namespace Otto.Ipc.Uds;

/// <summary>No server listens at a socket's path.</summary>
public sealed class ServerNotFoundException : IOException
{
    /// <summary>Makes the exception.</summary>
    /// <param name="message">Where nobody listens, and what to do about it.</param>
    public ServerNotFoundException(string message)
        : base(message)
    {
    }

    /// <summary>Makes the exception.</summary>
    public ServerNotFoundException()
    {
    }

    /// <summary>Makes the exception.</summary>
    /// <param name="message">Where nobody listens, and what to do about it.</param>
    /// <param name="innerException">What was met underneath.</param>
    public ServerNotFoundException(string message, Exception innerException)
        : base(message, innerException)
    {
    }
}
