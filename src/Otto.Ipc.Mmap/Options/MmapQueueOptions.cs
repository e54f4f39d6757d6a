namespace Otto.Ipc.Mmap;

// What a work queue is made of. What is left null is taken from the queue's file, or from the defaults where it does not exist yet.

/// <summary>How to open or create a work queue in shared memory.</summary>
/// <remarks>A number that is stated and differs from an existing queue's is refused; nothing is resized.</remarks>
public sealed record MmapQueueOptions
{
    /// <summary>The default <see cref="Slots"/>: 1,024.</summary>
    public const int DefaultSlots = 1024;

    /// <summary>The default <see cref="SlotBytes"/>: 512.</summary>
    public const int DefaultSlotBytes = 512;

    /// <summary>The default <see cref="MaxAttempts"/>: 10.</summary>
    public const int DefaultMaxAttempts = 10;

    /// <summary>How many messages the queue holds, ready, leased and dead together: 1 to 1,048,576.</summary>
    public int? Slots { get; init; }

    /// <summary>The bytes of a slot: 1 to 16 MiB. A larger message goes into a block of its
    /// own. Slots times bytes stay under 2 GiB.</summary>
    public int? SlotBytes { get; init; }

    /// <summary>The default <see cref="MaxLoanBytes"/>: 64 MiB.</summary>
    public const int DefaultMaxLoanBytes = 64 << 20;

    /// <summary>
    /// The largest message that this handle sends outside the slots, in a block of its own that is handed over by
    /// reference: 0 for none, at most 1 GiB. Needs slots of 24 bytes. Blocks are made when
    /// they are first needed, and kept for the next. What is received may be of any size.
    /// </summary>
    public int MaxLoanBytes { get; init; } = DefaultMaxLoanBytes;

    /// <summary>Whether a received block may be written in place. By default it is mapped
    /// for reading only, and a write to it ends the process.</summary>
    public bool WritableLoans { get; init; }

    /// <summary>The number of counted attempts after which a message goes to the dead letters: 1 to 254.</summary>
    public int? MaxAttempts { get; init; }

    /// <summary>The most dead letters that stay when this handle makes one: 1 to the number of slots, or
    /// <see langword="null"/> for half of them. The oldest are deleted, and counted
    /// (<see cref="WorkQueueCounts.DroppedDeadLetters"/>).</summary>
    public int? MaxDeadLetters { get; init; }

    /// <summary>How long a dead letter that this handle makes is kept: up to 3,650 days. Default 7 days.</summary>
    public TimeSpan DeadLetterRetention { get; init; } = TimeSpan.FromDays(7);

    /// <summary>How many handles, over all processes, can have the queue open at once;
    /// fixed at creation. 2 to 1,024, default 512.</summary>
    public int MaxParticipants { get; init; } = 512;

    /// <summary>How long a waiter looks before it sleeps, at most; it adapts below that to
    /// what paid off. Zero never spins. Default 50 µs.</summary>
    public TimeSpan SpinLimit { get; init; } = TimeSpan.FromMicroseconds(50);

    /// <summary>How a waiter sleeps.</summary>
    public WaitMode WaitMode { get; init; }

    internal const int MostSlots = 1 << 20;
    internal const int MostSlotBytes = 1 << 24;
    internal const int MostAttempts = 254;

    internal void Validate()
    {
        Check(Slots, 1, MostSlots, nameof(Slots));
        Check(SlotBytes, 1, MostSlotBytes, nameof(SlotBytes));
        Check(MaxAttempts, 1, MostAttempts, nameof(MaxAttempts));
        Check(MaxDeadLetters, 1, MostSlots, nameof(MaxDeadLetters));
        if (DeadLetterRetention <= TimeSpan.Zero || DeadLetterRetention > WorkQueue.MaxDelay)
            throw new ArgumentOutOfRangeException(nameof(DeadLetterRetention),
                $"DeadLetterRetention must be more than 0 and at most {WorkQueue.MaxDelay.TotalDays:N0} days: {DeadLetterRetention}");
        Check(MaxLoanBytes, 0, Loans.PoolLayout.MostBlockBytes, nameof(MaxLoanBytes));
        Check(MaxParticipants, 2, Segments.SegmentLayout.MaxParticipantsLimit, nameof(MaxParticipants));
        OptionChecks.Waiting(SpinLimit, WaitMode);
    }

    private static void Check(int? value, int least, int most, string name)
    {
        if (value is { } v && (v < least || v > most))
            throw new ArgumentOutOfRangeException(name, $"{name} must be {least:N0} to {most:N0}: {v:N0}");
    }
}
