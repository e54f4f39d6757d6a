namespace Otto.Queue;

// The bounds of the route within this process.

/// <summary>Options of the route within this process.</summary>
public sealed class InProcessOptions
{
    /// <summary>The most that <see cref="Capacity"/> can be.</summary>
    public const int MaxCapacity = 1 << 24;

    /// <summary>Gets or sets whether tasks may be handed over within this process. The default is
    /// <see langword="true"/>.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Gets or sets how many tasks each queue holds in this process, 1 to 16,777,216. The default is 8,192.
    /// Each costs 48 bytes from the start.</summary>
    public int Capacity { get; set; } = 8192;

    /// <summary>Gets or sets what happens to a task if the queue here is full. The default is
    /// <see cref="QueueFullMode.Overflow"/>.</summary>
    public QueueFullMode FullMode { get; set; } = QueueFullMode.Overflow;

    /// <summary>Gets or sets how many tasks in a row each worker takes here before other routes have their turn, 1 to
    /// 10,000. The default is 16.</summary>
    public int Weight { get; set; } = 16;
}
