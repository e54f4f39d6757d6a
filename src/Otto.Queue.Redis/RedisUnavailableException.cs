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

    /// <summary>What a server said against a command.</summary>
    internal static RedisUnavailableException OfServer(string said, Exception? e, string? message = null)
    {
        string code = said.Split(' ', 2)[0];
        return new RedisUnavailableException(message ?? $"Redis refused the command: {said}", e)
        {
            OutOfMemory = said.Contains("OOM ", StringComparison.Ordinal),
            // These pass by themselves; any other error would come again.
            Refused = code is not ("LOADING" or "OOM" or "READONLY" or "MASTERDOWN" or "CLUSTERDOWN"
                    or "TRYAGAIN" or "BUSY" or "NOREPLICAS" or "NOSCRIPT")
                && !said.Contains("OOM ", StringComparison.Ordinal),
        };
    }
}
