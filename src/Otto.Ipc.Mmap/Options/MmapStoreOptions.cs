using Otto.Ipc.Mmap.Regions;

namespace Otto.Ipc.Mmap;

// Validated once, when a store is opened.

/// <summary>How a store in shared memory is made and waited for.</summary>
public sealed record MmapStoreOptions
{
    /// <summary>
    /// How many bytes of JSON a new store can hold in all, keys included; 64 to 268,435,456, rounded up to a multiple
    /// of 64. An existing store keeps its own. Its file is three times as long, and allocated when it is made.
    /// </summary>
    public int CapacityBytes { get; init; } = 1 << 20;

    /// <summary>How long a write waits for other writers before it throws <see cref="TimeoutException"/>.</summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromSeconds(30);

    internal RegionOptions ToRegion()
    {
        var options = new RegionOptions { CapacityBytes = CapacityBytes, LockTimeout = LockTimeout };
        options.Validate();
        return options;
    }
}
