namespace Otto.Queue.Redis;

// Looking at a server from outside, for tools.

/// <summary>Finds the queues on a Redis server, and what its configuration and state may cost them.</summary>
public static class RedisQueues
{
    /// <summary>Lists the queues that have, or had, tasks or workers.</summary>
    /// <param name="configuration">Where the server is, in StackExchange.Redis's words.</param>
    /// <param name="prefix">What their keys begin with, as in <see cref="RedisRouteOptions.Prefix"/>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>Their names, in order.</returns>
    /// <exception cref="RedisUnavailableException">The server cannot be reached.</exception>
    /// <remarks>Reads each key of the server, a thousand at a time. Intended for people, not for programs that do it
    /// often.</remarks>
    public static async Task<IReadOnlyList<string>> ListAsync(string configuration, string prefix = RedisRouteOptions.DefaultPrefix,
        CancellationToken cancellationToken = default)
    {
        RedisRouteOptions.CheckPrefix(prefix);
        string begin = $"{prefix}:{{";
        await using RedisClient client = await RedisClient.ConnectAsync(configuration, TimeSpan.FromSeconds(5)).ConfigureAwait(false);
        if (client.Error is { } error) throw new RedisUnavailableException(error);
        HashSet<string> names = [];
        foreach (string kind in (string[])["stream", "delayed", "dead", "workers"])
            foreach (string key in await client.FindKeysAsync($"{begin}*}}:{kind}", cancellationToken).ConfigureAwait(false))
                names.Add(key[begin.Length..^(kind.Length + 2)]);
        return [.. names.Order(StringComparer.Ordinal)];
    }

    /// <summary>Checks a server as a queue does that starts: persistence, eviction, memory, replication and
    /// version.</summary>
    /// <param name="configuration">Where the server is, in StackExchange.Redis's words.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>What may cost tasks; none if all is well.</returns>
    /// <exception cref="RedisUnavailableException">The server cannot be reached.</exception>
    public static async Task<IReadOnlyList<RouteWarning>> CheckAsync(string configuration, CancellationToken cancellationToken = default)
    {
        await using RedisClient client = await RedisClient.ConnectAsync(configuration, TimeSpan.FromSeconds(5))
            .WaitAsync(cancellationToken).ConfigureAwait(false);
        if (client.Error is { } error) throw new RedisUnavailableException(error);
        await client.CheckServersAsync(new RedisRouteOptions(), again: false).WaitAsync(cancellationToken).ConfigureAwait(false);
        return client.Warnings;
    }
}
