namespace Otto.Ipc.Mmap;

// What a stream is made of. What is left null is taken from the stream's file, or from the defaults where it does not exist yet.

/// <summary>How to open or create a stream in shared memory.</summary>
/// <remarks>A number that is stated and differs from an existing stream's is refused; nothing is resized.</remarks>
public sealed record MmapStreamOptions
{
    /// <summary>The default <see cref="Capacity"/>: 1 MiB.</summary>
    public const int DefaultCapacity = 1 << 20;

    /// <summary>The default <see cref="MaxSenders"/>: 4.</summary>
    public const int DefaultMaxSenders = 4;

    internal const int MostSenders = 256;

    /// <summary>Bytes of a lane's ring: a power of two from 4,096 to 1 GiB. The largest
    /// message is half of it, less 8 bytes.</summary>
    public int? Capacity { get; init; }

    /// <summary>
    /// How many senders the stream can have at once: 1 to 256. Each has a lane of its own, <see cref="Capacity"/>
    /// bytes, and all of them are allocated when the stream is created.
    /// </summary>
    public int? MaxSenders { get; init; }

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
        if (MaxSenders is < 1 or > MostSenders)
            throw new ArgumentOutOfRangeException(nameof(MaxSenders), $"max senders must be 1 to {MostSenders}: {MaxSenders:N0}");
        OptionChecks.MaxLoanBytes(MaxLoanBytes);
        OptionChecks.Waiting(SpinLimit, WaitMode);
    }
}
