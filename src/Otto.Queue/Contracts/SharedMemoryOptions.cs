using Otto.Ipc.Mmap;
using Otto.Ipc;

namespace Otto.Queue;

// The embedded default beyond this process: no server to run, and tasks survive a crashed process.

/// <summary>How tasks travel between the processes of this machine.</summary>
public sealed class SharedMemoryOptions
{
    /// <summary>Whether shared memory is used. On unless switched off.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Where the segments lie; <see langword="null"/> for <c>$OTTO_SHM_DIR</c>, else
    /// <c>/dev/shm/otto-&lt;uid&gt;</c>.</summary>
    public string? Directory { get; set; }

    /// <summary>How many tasks a segment holds; <see langword="null"/> for what an existing segment says, else
    /// 1,024.</summary>
    public int? Slots { get; set; }

    /// <summary>How large a task may be to lie in the segment itself, in bytes with its envelope;
    /// <see langword="null"/> for what an existing segment says, else 512.</summary>
    public int? SlotBytes { get; set; }

    /// <summary>The largest size of a task. A task beyond <see cref="SlotBytes"/> is stored in a block of its own. 0
    /// for none, at most 1 GiB; default 64 MiB.</summary>
    public int MaxLoanBytes { get; set; } = MmapQueueOptions.DefaultMaxLoanBytes;

    /// <summary>How many attempts a segment counts before it gives a task up by itself; <see langword="null"/> for what
    /// an existing segment says, else its default.</summary>
    /// <remarks>A backstop for tasks that kill their worker where no handler's own limit
    /// (<see cref="HandlerOptions.Retry"/>) is reached first.</remarks>
    public int? MaxAttempts { get; set; }

    /// <summary>What a producer meets where the segment is full and no further route takes the task.</summary>
    public QueueFullMode FullMode { get; set; } = QueueFullMode.Overflow;

    /// <summary>How many tasks in a row each worker takes from here before other routes have their turn, 1 to
    /// 10,000.</summary>
    public int Weight { get; set; } = 16;

    /// <summary>Another transport to carry the tasks instead of shared memory; used as given and never
    /// disposed.</summary>
    public IQueueTransport? Transport { get; set; }
}
