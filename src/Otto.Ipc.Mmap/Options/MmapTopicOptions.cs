namespace Otto.Ipc.Mmap;

// What a topic is made of. What is left null is taken from the topic's file, or from the defaults where it does not exist yet.

/// <summary>How to open or create a topic in shared memory.</summary>
/// <remarks>A number or policy that is stated and differs from an existing topic's is
/// refused; nothing is resized.</remarks>
public sealed record MmapTopicOptions
{
    /// <summary>The default <see cref="Capacity"/>: 1 MiB.</summary>
    public const int DefaultCapacity = 1 << 20;

    /// <summary>The default <see cref="MaxPublishers"/>: 4.</summary>
    public const int DefaultMaxPublishers = 4;

    /// <summary>The default <see cref="MaxSubscribers"/>: 32.</summary>
    public const int DefaultMaxSubscribers = 32;

    internal const int MostPublishers = 64;
    internal const int MostSubscribers = 512;

    /// <summary>Bytes of a publisher's ring: a power of two from 4,096 to 1 GiB. The
    /// largest message is a quarter of it, less 16 bytes.</summary>
    public int? Capacity { get; init; }

    /// <summary>How many publishers the topic can have at once: 1 to 64. Each has a ring of
    /// its own; all are allocated when the topic is created.</summary>
    public int? MaxPublishers { get; init; }

    /// <summary>How many subscribers the topic can have at once: 1 to 512.</summary>
    public int? MaxSubscribers { get; init; }

    /// <summary>What happens to a subscriber that falls behind. Default
    /// <see cref="SlowSubscriberPolicy.Overwrite"/>.</summary>
    public SlowSubscriberPolicy? Policy { get; init; }

    /// <summary>
    /// The largest block that this end lends: 1 byte to 1 GiB, default 64 MiB. Blocks are made when they are first
    /// needed, and kept for the next. What is received may be of any size.
    /// </summary>
    public int MaxLoanBytes { get; init; } = MmapQueueOptions.DefaultMaxLoanBytes;

    /// <summary>Whether a received block may be written in place. By default it is mapped
    /// for reading only, and a write to it ends the process.</summary>
    public bool WritableLoans { get; init; }

    /// <summary>How long a waiter looks before it sleeps, at most; it adapts below that to
    /// what paid off. Zero never spins. Default 50 µs.</summary>
    public TimeSpan SpinLimit { get; init; } = TimeSpan.FromMicroseconds(50);

    /// <summary>How a waiter sleeps.</summary>
    public WaitMode WaitMode { get; init; }

    internal void Validate()
    {
        OptionChecks.Capacity(Capacity);
        if (MaxPublishers is < 1 or > MostPublishers)
            throw new ArgumentOutOfRangeException(nameof(MaxPublishers),
                $"max publishers must be 1 to {MostPublishers}: {MaxPublishers:N0}");
        if (MaxSubscribers is < 1 or > MostSubscribers)
            throw new ArgumentOutOfRangeException(nameof(MaxSubscribers),
                $"max subscribers must be 1 to {MostSubscribers}: {MaxSubscribers:N0}");
        if (Policy is { } policy && !Enum.IsDefined(policy))
            throw new ArgumentOutOfRangeException(nameof(Policy), $"no such policy: {(int)policy}");
        OptionChecks.MaxLoanBytes(MaxLoanBytes);
        OptionChecks.Waiting(SpinLimit, WaitMode);
    }
}

/// <summary>What happens to a subscriber that falls behind. The number is stored in the topic's file.</summary>
public enum SlowSubscriberPolicy
{
    /// <summary>It loses the oldest messages, and learns how many. No subscriber can hold a publisher.</summary>
    Overwrite = 0,

    /// <summary>
    /// The slowest live subscriber holds the publishers. No subscriber loses a message, and a stopped subscriber stops
    /// the publishers.
    /// </summary>
    Block = 1,

    /// <summary>It is ejected and notified. A subscriber receives every message, or knows that it does not.</summary>
    Disconnect = 2,
}
