using Otto.Ipc.Files.Paths;

namespace Otto.Ipc.Files;

// What a queue is made of. What is left null is taken from the queue's own file, or from the defaults where it does not exist yet.

/// <summary>How to open or create a queue of files.</summary>
/// <remarks>A number that is stated and differs from an existing queue's is refused.</remarks>
public sealed record FilesQueueOptions
{
    /// <summary>The default <see cref="Capacity"/>: 1,024.</summary>
    public const int DefaultCapacity = 1024;

    /// <summary>The default <see cref="MaxMessageBytes"/>: 1 MiB.</summary>
    public const int DefaultMaxMessageBytes = 1 << 20;

    /// <summary>The default <see cref="MaxAttempts"/>: 10.</summary>
    public const int DefaultMaxAttempts = 10;

    internal const int MostMessageBytes = 256 << 20;

    private const int MostMessages = 1 << 20, MostAttempts = 254;

    /// <summary>How many messages the queue holds, ready, delayed, leased and dead together: 1 to 1,048,576.</summary>
    /// <remarks>A thousand is quick: looking for work lists the directory.</remarks>
    public int? Capacity { get; init; }

    /// <summary>The largest message in bytes: 1 to 256 MiB.</summary>
    public int? MaxMessageBytes { get; init; }

    /// <summary>The number of counted attempts after which a message goes to the dead letters: 1 to 254.</summary>
    public int? MaxAttempts { get; init; }

    internal void Validate()
    {
        Limits.Check(Capacity, 1, MostMessages, nameof(Capacity));
        Limits.Check(MaxMessageBytes, 1, MostMessageBytes, nameof(MaxMessageBytes));
        Limits.Check(MaxAttempts, 1, MostAttempts, nameof(MaxAttempts));
    }

    /// <summary>Takes what is missing from the queue's file, or makes it.</summary>
    internal QueueNumbers Resolve(string path)
    {
        Validate();
        int[] numbers = ChannelSettings.OpenOrCreate(
            path,
            new Setting("capacity", Capacity, DefaultCapacity, 1, MostMessages),
            new Setting("maxMessageBytes", MaxMessageBytes, DefaultMaxMessageBytes, 1, MostMessageBytes),
            new Setting("maxAttempts", MaxAttempts, DefaultMaxAttempts, 1, MostAttempts));
        return new QueueNumbers(numbers[0], numbers[1], numbers[2]);
    }
}

/// <summary>What a queue is made of.</summary>
internal readonly record struct QueueNumbers(int Capacity, int MaxMessageBytes, int MaxAttempts);
