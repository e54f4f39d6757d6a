namespace Otto.Queue.Redis;

// The names of a queue's keys: one hash tag a queue, so that a cluster keeps all of them in one slot and a script may touch them together.

internal sealed class QueueKeys(string prefix, int database, string queue)
{
    // Channels do not know databases: every connection to the server hears them, whichever database it uses.
    private readonly string _channels = $"{prefix}:{{{queue}}}:{(database <= 0 ? "" : $"db{database}:")}";

    private string[]? _all;

    /// <summary>The ready and the leased: a stream with the group <c>workers</c>. Fields: m
    /// the envelope, a attempts made before, k the key.</summary>
    internal string Stream { get; } = $"{prefix}:{{{queue}}}:stream";

    /// <summary>The delayed: a sorted set of ids by due time in milliseconds.</summary>
    internal string Delayed { get; } = $"{prefix}:{{{queue}}}:delayed";

    /// <summary>The given up: a stream. Fields: m, a attempts made, r the reason, k.</summary>
    internal string Dead { get; } = $"{prefix}:{{{queue}}}:dead";

    /// <summary>Which task holds each key: a hash.</summary>
    internal string Keys { get; } = $"{prefix}:{{{queue}}}:keys";

    /// <summary>The schedules: a hash. For each key of a recurring task: <c>m</c> and the key for its envelope,
    /// <c>i</c> for its entry of the stream, <c>p</c> for the entry of the schedule that it replaced.</summary>
    internal string Schedules { get; } = $"{prefix}:{{{queue}}}:schedules";

    /// <summary>The tasks that were cancelled while a worker held them: a sorted set of ids by time.</summary>
    internal string Cancelled { get; } = $"{prefix}:{{{queue}}}:cancelled";

    /// <summary>The entries whose worker died or fell silent: a hash. For each the number of deaths that were proven to
    /// be its own, and a star while it runs alone.</summary>
    internal string Suspects { get; } = $"{prefix}:{{{queue}}}:suspects";

    /// <summary>Who takes work: a sorted set by the time until which each is taken to be alive.</summary>
    internal string Workers { get; } = $"{prefix}:{{{queue}}}:workers";

    /// <summary>Which workers sleep and want a nudge: a set.</summary>
    internal string IdleWorkers { get; } = $"{prefix}:{{{queue}}}:sleepers";

    /// <summary>The results that wait to be collected: a hash by id.</summary>
    internal string Results { get; } = $"{prefix}:{{{queue}}}:results";

    /// <summary>When each result is over: a sorted set of ids.</summary>
    internal string Due { get; } = $"{prefix}:{{{queue}}}:results:due";

    /// <summary>For which process a result is reserved that is on its way to it: a hash by id.</summary>
    internal string Claims { get; } = $"{prefix}:{{{queue}}}:results:claims";

    /// <summary>Where each task is: a hash, by id its entry of the stream, or <c>d</c>.</summary>
    internal string Ids { get; } = $"{prefix}:{{{queue}}}:ids";

    /// <summary>The delayed tasks: a hash, by id an entry with all its fields.</summary>
    internal string Later { get; } = $"{prefix}:{{{queue}}}:delayed:tasks";

    /// <summary>The entries that workers passed over: a sorted set of name and entry.</summary>
    internal string Aside { get; } = $"{prefix}:{{{queue}}}:aside";

    /// <summary>How many entries were passed over: a hash by name.</summary>
    internal string Names { get; } = $"{prefix}:{{{queue}}}:aside:names";

    /// <summary>The names that each worker handles: a hash.</summary>
    internal string Handlers { get; } = $"{prefix}:{{{queue}}}:handlers";

    /// <summary>What was dropped, and a name for the contents: a hash.</summary>
    internal string Totals { get; } = $"{prefix}:{{{queue}}}:totals";

    /// <summary>Gets the keys that each script gets, in the order in which <see cref="RedisScriptParts.Begin"/> names
    /// them.</summary>
    internal string[] All => _all ??= [Stream, Delayed, Dead, Keys, IdleWorkers, Schedules, Cancelled, Suspects, Workers,
        Results, Due, Claims, Ids, Later, Aside, Names, Handlers, Totals];

    /// <summary>Gets the channel for events that concern every process on the queue.</summary>
    internal ServerChannel Events => new(_channels + "events");

    /// <summary>Where a sleeping worker is nudged: a channel.</summary>
    internal ServerChannel WakeUp(string worker) => new($"{_channels}nudge:{worker}");

    /// <summary>What became of a producer's last batch, for as long as it might ask again.</summary>
    internal string Sent(string producer) => $"{prefix}:{{{queue}}}:sent:{producer}";
}

/// <summary>The name of a channel, or its beginning. The client's own prefix for channels (<c>channelPrefix=</c>) is
/// added where it is sent, so that what a script publishes is what others subscribed to.</summary>
internal readonly record struct ServerChannel(string Name);
