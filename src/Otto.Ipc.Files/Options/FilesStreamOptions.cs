using Otto.Ipc.Files.Messages;
using Otto.Ipc.Files.Paths;

namespace Otto.Ipc.Files;

// What a stream is made of. What is left null is taken from the stream's own file, or from the defaults where it does not exist yet.

/// <summary>How to open or create a stream of log files.</summary>
/// <remarks>A number that is stated and differs from an existing stream's is refused.</remarks>
public sealed record FilesStreamOptions
{
    /// <summary>The default <see cref="Capacity"/>: 16 MiB.</summary>
    public const int DefaultCapacity = 16 << 20;

    /// <summary>The default <see cref="MaxMessageBytes"/>: 1 MiB, or what fits into the capacity.</summary>
    public const int DefaultMaxMessageBytes = 1 << 20;

    /// <summary>The default <see cref="MaxSenders"/>: 4.</summary>
    public const int DefaultMaxSenders = 4;

    private const int LeastCapacity = 4096, MostCapacity = 1 << 30, MostMessageBytes = FilesQueueOptions.MostMessageBytes,
        MostSenders = 256;

    /// <summary>How many bytes of lines a sender may be ahead of the receiver, each sender
    /// for itself: 4,096 to 1 GiB.</summary>
    /// <remarks>The files take at most a quarter more.</remarks>
    public int? Capacity { get; init; }

    /// <summary>The largest message in bytes: 1 to 256 MiB. Its line must fit into the
    /// capacity; bytes that are no JSON take a third more.</summary>
    public int? MaxMessageBytes { get; init; }

    /// <summary>How many .NET senders the stream can have at once: 1 to 256.</summary>
    public int? MaxSenders { get; init; }

    internal void Validate()
    {
        Limits.Check(Capacity, LeastCapacity, MostCapacity, nameof(Capacity));
        Limits.Check(MaxMessageBytes, 1, MostMessageBytes, nameof(MaxMessageBytes));
        Limits.Check(MaxSenders, 1, MostSenders, nameof(MaxSenders));
        if (MaxMessageBytes is { } most && Capacity is { } capacity) CheckFits(most, capacity);
    }

    /// <summary>Takes what is missing from the stream's file, or makes it.</summary>
    internal StreamNumbers Resolve(string path)
    {
        Validate();
        int fits = (int)Math.Min(DefaultMaxMessageBytes, ((Capacity ?? DefaultCapacity) - 64L) / 4 * 3);
        int[] numbers = ChannelSettings.OpenOrCreate(
            path,
            new Setting("capacity", Capacity, DefaultCapacity, LeastCapacity, MostCapacity),
            new Setting("maxMessageBytes", MaxMessageBytes, fits, 1, MostMessageBytes),
            new Setting("maxSenders", MaxSenders, DefaultMaxSenders, 1, MostSenders));
        CheckFits(numbers[1], numbers[0]);
        return new StreamNumbers(numbers[0], numbers[1], numbers[2]);
    }

    private static void CheckFits(int most, int capacity)
    {
        long line = MessageText.MostBytes(most) + 1L;
        if (line <= capacity) return;
        throw new ArgumentException($"a message of {most:N0} bytes may take a line of {line:N0}, the capacity is {capacity:N0}; lower "
            + $"MaxMessageBytes or raise Capacity");
    }
}

/// <summary>What a stream is made of.</summary>
internal readonly record struct StreamNumbers(int Capacity, int MaxMessageBytes, int MaxSenders)
{
    /// <summary>The most bytes of a line, with its end.</summary>
    public int MaxLineBytes => MessageText.MostBytes(MaxMessageBytes) + 1;

    /// <summary>How large a file of the log grows before the next one begins; a line may exceed it.</summary>
    public int LogFileBytes => Math.Max(Capacity / 4, 1024);
}
