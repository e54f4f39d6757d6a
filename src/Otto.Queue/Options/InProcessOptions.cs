namespace Otto.Queue;

// The bounds of the route within this process.

/// <summary>How tasks travel within this process.</summary>
public sealed class InProcessOptions
{
    /// <summary>The most that <see cref="Capacity"/> can be.</summary>
    public const int MaxCapacity = 1 << 24;

    /// <summary>Whether tasks may be handed over within this process at all.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>How many tasks each queue holds in this process, 1 to 16,777,216; 8,192 by default. Each costs 48 bytes from the start.</summary>
    public int Capacity { get; set; } = 8192;

    /// <summary>What a producer meets where the queue here is full.</summary>
    public QueueFullMode FullMode { get; set; } = QueueFullMode.Overflow;

    /// <summary>How many tasks in a row a worker takes here before other routes have their turn, 1 to 10,000.</summary>
    public int Weight { get; set; } = 16;
}
