namespace Otto.Queue.Redis;

// What a server holds has a name of its own, so that a server that lost everything is told from a task that passed to another worker.

internal sealed class RedisContents(RedisClient client, QueueKeys keys, Action<string> warn)
{
    private readonly Lock _lock = new();
    private string? _name;
    private volatile int _generation;

    /// <summary>Gets how often the contents were lost while the queue was open.</summary>
    internal int Generation => _generation;

    internal static string NewName() => Guid.NewGuid().ToString("n")[..16];

    /// <summary>Reports a problem, for the log.</summary>
    internal void Warn(string warning) => warn(warning);

    /// <summary>Takes in the name that the server has now.</summary>
    /// <param name="name">The name.</param>
    /// <param name="held">How many tasks are held here.</param>
    internal void Note(string name, int held)
    {
        lock (_lock)
        {
            bool lost = _name is not null && _name != name;
            _name = name;
            if (!lost) return;
            _generation++;
        }

        warn($"the server came back without the queue's contents (a restart without persistence, or FLUSHALL): what waited there is "
            + $"lost; the {held} tasks that are held here run on, and no other worker has them");
    }

    /// <summary>Asks for the name.</summary>
    internal async Task CheckAsync(int held)
    {
        try
        {
            Note((await client.RunAsync(RedisResultScripts.Name, keys.All, [NewName()]).ConfigureAwait(false)).Text, held);
        }
        catch (RedisUnavailableException)
        {
            // Noted with the next beat.
        }
    }
}
