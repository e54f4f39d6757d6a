namespace Otto.Queue.Redis;

// What goes wrong between here and the server, sorted by what can be done about it.

/// <summary>Redis could not be reached, or refused.</summary>
public sealed class RedisUnavailableException : IOException
{
    /// <summary>Creates the exception.</summary>
    /// <param name="message">What is wrong.</param>
    /// <param name="innerException">The error of the client, if there is one.</param>
    public RedisUnavailableException(string message, Exception? innerException = null)
        : base(message, innerException)
    {
    }

    /// <summary>Whether the server has no memory left for more; otherwise, it is unavailable for now.</summary>
    internal bool OutOfMemory { get; init; }

    /// <summary>Whether trying again cannot help: the server does not know the command, or does not allow it.</summary>
    internal bool Refused { get; init; }
}
