namespace Otto.Ipc.Uds;

/// <summary>How to open an end of a stream over a socket.</summary>
public sealed record UdsStreamOptions
{
    // The receiver says what it has read every 8 KiB: a sender must have room for several such steps.
    internal const int LeastCapacity = 64 << 10;
    internal const int MostCapacity = 128 << 20;

    /// <summary>
    /// How many bytes a sender holds that the receiver has not read: 64 KiB to 128 MiB, default 128 KiB. The largest
    /// message is half of it, less 8 bytes. How many small messages are on their way at
    /// once is bounded by the kernel's send buffer too.
    /// </summary>
    public int Capacity { get; init; } = 128 << 10;

    /// <summary>How many senders this process may have on one stream at once: 1 to 10,000, default 256.</summary>
    public int MaxSenders { get; init; } = 256;

    internal void Validate()
    {
        if (Capacity is < LeastCapacity or > MostCapacity)
            throw new ArgumentOutOfRangeException(nameof(Capacity),
                $"capacity must be {LeastCapacity:N0} to {MostCapacity:N0}: {Capacity:N0}");
        if (MaxSenders is < 1 or > 10_000)
            throw new ArgumentOutOfRangeException(nameof(MaxSenders), $"max senders must be 1 to 10,000: {MaxSenders:N0}");
    }
}
