namespace Otto.Ipc.Mmap.Regions;

// Validated once, when a region is opened, so that no later call has to ask again.

/// <summary>How a region is made and waited for. The defaults suit a task's small facts.</summary>
public sealed record RegionOptions
{
    /// <summary>The least capacity.</summary>
    public const int MinCapacityBytes = 64;

    /// <summary>The largest capacity.</summary>
    public const int MaxCapacityBytes = RegionLayout.MaxValueBytes;

    /// <summary>How many bytes of JSON a new region can hold; rounded up to a multiple of
    /// 64. An existing region keeps its own.</summary>
    /// <remarks>The file is three times as long, since two redo copies stand behind the
    /// front; it is allocated at creation and never grows.</remarks>
    public int CapacityBytes { get; init; } = 64 * 1024;

    /// <summary>How long a write waits for other writers before it throws <see cref="TimeoutException"/>.</summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a read tries again, when a foreign program may be in the middle of
    /// a write, before it calls the bytes corrupt.</summary>
    public TimeSpan SettleTime { get; init; } = TimeSpan.FromMilliseconds(100);

    internal void Validate()
    {
        if (CapacityBytes is < MinCapacityBytes or > MaxCapacityBytes)
            throw new ArgumentException($"a region's capacity must be {MinCapacityBytes} to {MaxCapacityBytes} bytes: {CapacityBytes}",
                nameof(CapacityBytes));
        if (LockTimeout < TimeSpan.Zero && LockTimeout != Timeout.InfiniteTimeSpan)
            throw new ArgumentException($"a lock timeout cannot be negative: {LockTimeout}", nameof(LockTimeout));
        if (SettleTime < TimeSpan.Zero || SettleTime > TimeSpan.FromMinutes(1))
            throw new ArgumentException($"a settle time must be 0 to 60 s: {SettleTime}", nameof(SettleTime));
    }
}
