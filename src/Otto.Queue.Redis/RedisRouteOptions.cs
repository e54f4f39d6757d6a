using System.Globalization;
using Microsoft.Extensions.Configuration;

namespace Otto.Queue.Redis;

// The bounds and times of the route through Redis.

/// <summary>Options of the route through Redis.</summary>
public sealed class RedisRouteOptions
{
    internal const string DefaultPrefix = "otto";

    private const int LongestPrefix = 64;

    /// <summary>Gets or sets the server, as StackExchange.Redis writes it, such as
    /// <c>localhost:6379,password=...</c>. Not used if a connection was passed in.</summary>
    public string Configuration { get; set; } = "localhost:6379";

    /// <summary>Gets or sets what the names of all keys and channels begin with, before a colon: 1 to 64 ASCII letters,
    /// digits, <c>.</c>, <c>_</c>, <c>-</c> or <c>:</c>. The default is <c>otto</c>.</summary>
    /// <remarks>Programs with different prefixes share nothing on a server. Producers, workers and tools of a queue
    /// need the same one. Unlike <c>channelPrefix=</c> in <see cref="Configuration"/>, which also works, it applies to
    /// keys too.</remarks>
    public string Prefix { get; set; } = DefaultPrefix;

    /// <summary>Gets or sets how many tasks a queue holds at most, ready, leased, delayed and dead together, 1 to
    /// 1,000,000,000. The default is 1,000,000. <see cref="FullMode"/> describes what happens beyond it.</summary>
    public long Capacity { get; set; } = 1_000_000;

    /// <summary>Gets or sets how large a task may be, in bytes with its envelope, 1,024 to 64 MiB. The default is 1
    /// MiB.</summary>
    public int MaxMessageBytes { get; set; } = 1 << 20;

    /// <summary>Gets or sets how long a task stays with a worker that gives no sign of life, 1 s to 1 hour. The default
    /// is 30 s. A live worker renews what it holds, so a task may take longer.</summary>
    /// <remarks>Redis can only measure time: a worker that was stopped for longer loses what it held, and its
    /// completion then has no effect.</remarks>
    public TimeSpan LeaseTime { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// Gets or sets how long the result of a task with <see cref="EnqueueOptions.TrackResult"/> is kept until a
    /// process waits for it, 1 s to 3,650 days. The default is 10 minutes.
    /// </summary>
    /// <remarks>Results do not count toward <see cref="Capacity"/>. A queue keeps as many as its capacity, and at least
    /// 100,000; beyond that the oldest is dropped.</remarks>
    public TimeSpan ResultRetention { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Gets or sets the most dead letters that a queue keeps; <see langword="null"/>, the default, for half of
    /// <see cref="Capacity"/>. Beyond it the oldest are deleted and counted.</summary>
    public int? MaxDeadLetters { get; set; }

    /// <summary>Gets or sets how long a queue keeps a dead letter, 1 s to 3,650 days. The default is 7 days.</summary>
    public TimeSpan DeadLetterRetention { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Gets or sets how often a waiting worker polls, in case a nudge was lost, 50 ms to 1 minute. The default
    /// is 1 s.</summary>
    public TimeSpan PollInterval { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Gets or sets how long a command may take before the server counts as unavailable, 100 ms to 1 minute.
    /// The default is 5 s.</summary>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Gets or sets what happens to a task if Redis is full and no further route takes it. The default is
    /// <see cref="QueueFullMode.Overflow"/>.</summary>
    public QueueFullMode FullMode { get; set; } = QueueFullMode.Overflow;

    /// <summary>Gets or sets how many consecutive tasks a worker takes from here before other routes have their turn, 1
    /// to 10,000. The default is 16.</summary>
    public int Weight { get; set; } = 16;

    /// <summary>Gets or sets how many replicas must have a task before it counts as accepted, 0 to 100. The default is
    /// 0: a fail-over may then lose tasks that were accepted last.</summary>
    /// <remarks>Enqueueing waits while fewer replicas are connected. Each batch costs one more round trip
    /// (<c>WAIT</c>).</remarks>
    public int MinReplicas { get; set; }

    /// <summary>Gets or sets what is not reported of the servers, because it is intended: any of
    /// <c>persistence</c>, <c>snapshots</c>, <c>eviction</c>, <c>memory</c>, <c>replica</c>, <c>replication</c>,
    /// <c>lag</c>, <c>cluster</c>, <c>version</c> and <c>unknown</c>. The default is none.</summary>
    public IList<string> AcceptedWarnings { get; set; } = [];

    /// <summary>For how many milliseconds a result is kept.</summary>
    internal long ResultMilliseconds => (long)ResultRetention.TotalMilliseconds;

    /// <summary>For how many milliseconds a dead letter is kept.</summary>
    internal long DeadLetterMilliseconds => (long)DeadLetterRetention.TotalMilliseconds;

    /// <summary>The number of dead letters beyond which the oldest goes.</summary>
    internal long MostDeadLetters => MaxDeadLetters ?? Math.Max(1, Capacity / 2);

    /// <summary>The number of results beyond which the oldest goes.</summary>
    internal long MostResults => Math.Max(Capacity, 100_000);

    /// <summary>How often presence is announced and leases are renewed.</summary>
    internal TimeSpan Heartbeat => LeaseTime / 3 < TimeSpan.FromSeconds(5) ? LeaseTime / 3 : TimeSpan.FromSeconds(5);

    /// <summary>Applies a configuration section; a key that is not known is an error that
    /// lists those that are.</summary>
    internal void Apply(IConfiguration section)
    {
        Dictionary<string, Action<string>> known = new(StringComparer.OrdinalIgnoreCase)
        {
            [nameof(Configuration)] = s => Configuration = s,
            [nameof(Capacity)] = s => Capacity = long.Parse(s, CultureInfo.InvariantCulture),
            [nameof(MaxMessageBytes)] = s => MaxMessageBytes = int.Parse(s, CultureInfo.InvariantCulture),
            [nameof(LeaseTime)] = s => LeaseTime = TimeSpan.Parse(s, CultureInfo.InvariantCulture),
            [nameof(ResultRetention)] = s => ResultRetention = TimeSpan.Parse(s, CultureInfo.InvariantCulture),
            [nameof(MaxDeadLetters)] = s => MaxDeadLetters = int.Parse(s, CultureInfo.InvariantCulture),
            [nameof(DeadLetterRetention)] = s => DeadLetterRetention = TimeSpan.Parse(s, CultureInfo.InvariantCulture),
            [nameof(PollInterval)] = s => PollInterval = TimeSpan.Parse(s, CultureInfo.InvariantCulture),
            [nameof(CommandTimeout)] = s => CommandTimeout = TimeSpan.Parse(s, CultureInfo.InvariantCulture),
            [nameof(FullMode)] = s => FullMode = Enum.Parse<QueueFullMode>(s, ignoreCase: true),
            [nameof(Weight)] = s => Weight = int.Parse(s, CultureInfo.InvariantCulture),
            [nameof(Prefix)] = s => Prefix = s,
            [nameof(MinReplicas)] = s => MinReplicas = int.Parse(s, CultureInfo.InvariantCulture),
            [nameof(AcceptedWarnings)] = s => AcceptedWarnings =
                [.. s.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)],
        };
        foreach (IConfigurationSection child in section.GetChildren())
        {
            if (!known.TryGetValue(child.Key, out Action<string>? apply))
                throw new ArgumentException($"unknown key '{child.Path}'; known: {string.Join(", ", known.Keys)}");
            try
            {
                apply(child.Value ?? "");
            }
            catch (Exception e) when (e is FormatException or OverflowException or ArgumentException)
            {
                throw new ArgumentException($"{child.Path} is '{child.Value}', which is not valid: {e.Message}", e);
            }
        }
    }

    internal void Check()
    {
        CheckPrefix(Prefix);
        Range(nameof(MinReplicas), MinReplicas, 0, 100);
        if (AcceptedWarnings.FirstOrDefault(static w => !ServerFindings.Codes.Contains(w)) is { } unknown)
            throw new ArgumentException(
                $"Redis.{nameof(AcceptedWarnings)} has '{unknown}'; known: {string.Join(", ", ServerFindings.Codes)}");
        Range(nameof(Capacity), Capacity, 1, 1_000_000_000);
        Range(nameof(MaxMessageBytes), MaxMessageBytes, 1024, 64 << 20);
        Range(nameof(LeaseTime), LeaseTime, TimeSpan.FromSeconds(1), TimeSpan.FromHours(1));
        Range(nameof(ResultRetention), ResultRetention, TimeSpan.FromSeconds(1), TimeSpan.FromDays(3650));
        if (MaxDeadLetters is { } most) Range(nameof(MaxDeadLetters), most, 1, int.MaxValue);
        Range(nameof(DeadLetterRetention), DeadLetterRetention, TimeSpan.FromSeconds(1), TimeSpan.FromDays(3650));
        Range(nameof(PollInterval), PollInterval, TimeSpan.FromMilliseconds(50), TimeSpan.FromMinutes(1));
        Range(nameof(CommandTimeout), CommandTimeout, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(1));
        Range(nameof(Weight), Weight, 1, 10_000);
    }

    // Braces would move a cluster's hash tag, and * [ ? are patterns where queues are listed.
    internal static void CheckPrefix(string? prefix)
    {
        if (prefix is not { Length: > 0 and <= LongestPrefix }
            || !prefix.All(static c => char.IsAsciiLetterOrDigit(c) || "._-:".Contains(c)))
            throw new ArgumentException(
                $"Redis.{nameof(Prefix)} must be 1 to {LongestPrefix} ASCII letters, digits, '.', '_', '-' or ':': '{prefix}'");
    }

    private static void Range<T>(string what, T value, T least, T most) where T : IComparable<T>, IFormattable
    {
        if (value.CompareTo(least) < 0 || value.CompareTo(most) > 0)
            throw new ArgumentException($"Redis.{what} must be {least} to {most}: {value}");
    }
}
