using Otto.Ipc.Mmap;
using Otto.Ipc;

namespace Otto.Queue;

// The embedded default beyond this process: no server to run, and tasks survive a crashed process.

/// <summary>Options of the route through shared memory, between the processes of this machine.</summary>
public sealed class SharedMemoryOptions
{
    /// <summary>Gets or sets whether shared memory is used. The default is <see langword="true"/>.</summary>
    public bool Enabled { get; set; } = true;

    /// <summary>Gets or sets the directory of the segments; <see langword="null"/>, the default, for
    /// <c>$OTTO_SHM_DIR</c>, else <c>/dev/shm/otto-&lt;uid&gt;</c>.</summary>
    public string? Directory { get; set; }

    /// <summary>Gets or sets how many tasks a segment holds; <see langword="null"/>, the default, for the number of the
    /// existing segment, else 1,024.</summary>
    public int? Slots { get; set; }

    /// <summary>Gets or sets how large a task may be to be stored in the segment itself, in bytes with its envelope;
    /// <see langword="null"/>, the default, for the size of the existing segment, else 512.</summary>
    public int? SlotBytes { get; set; }

    /// <summary>Gets or sets the largest size of a task, at most 1 GiB. The default is 64 MiB. A task beyond
    /// <see cref="SlotBytes"/> is stored in a block of its own; 0 allows none.</summary>
    public int MaxLoanBytes { get; set; } = MmapQueueOptions.DefaultMaxLoanBytes;

    /// <summary>Gets or sets how many attempts a segment counts before it gives a task up by itself;
    /// <see langword="null"/>, the default, for the number of the existing segment, else its default.</summary>
    /// <remarks>A backstop for tasks that kill their worker, if no handler's own limit
    /// (<see cref="HandlerOptions.Retries"/>) is reached first.</remarks>
    public int? MaxAttempts { get; set; }

    /// <summary>Gets or sets how long the result of a task with <see cref="EnqueueOptions.TrackResult"/> is kept in the
    /// segment until a process waits for it. The default is 10 minutes; at least 1 second.</summary>
    /// <remarks>A result takes the room of its task. Where room is short, producers take their results out into
    /// their own memory, results of producers that are dead go first, and then those that had waited for a
    /// minute.</remarks>
    public TimeSpan ResultRetention { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Gets or sets how many handles, over all processes, can have a segment open at once, if this one creates
    /// it: 2 to 1,024. The default is 512. Where that many are open, the start of the queue waits for ten seconds for a
    /// place, as short-lived processes leave one soon.</summary>
    public int MaxParticipants { get; set; } = 512;

    /// <summary>Gets or sets the most dead letters that a segment keeps; <see langword="null"/>, the default, for half
    /// of its slots. Beyond it the oldest are deleted and counted.</summary>
    public int? MaxDeadLetters { get; set; }

    /// <summary>Gets or sets how long a segment keeps a dead letter, up to 3,650 days. The default is 7 days.</summary>
    public TimeSpan DeadLetterRetention { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Gets or sets what happens to a task if the segment is full and no further route takes it. The default
    /// is <see cref="QueueFullMode.Overflow"/>.</summary>
    public QueueFullMode FullMode { get; set; } = QueueFullMode.Overflow;

    /// <summary>Gets or sets how many tasks in a row each worker takes from here before other routes have their turn, 1
    /// to 10,000. The default is 16.</summary>
    public int Weight { get; set; } = 16;

    /// <summary>Gets or sets another transport that carries the tasks instead of shared memory. It is used as given and
    /// never disposed.</summary>
    public IQueueTransport? Transport { get; set; }
}
