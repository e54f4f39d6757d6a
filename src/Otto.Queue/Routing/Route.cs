namespace Otto.Queue;

// The ways a task can take, from the shortest to the widest.

/// <summary>A way for a task to travel.</summary>
public enum Route
{
    /// <summary>Within this process: the same object is handed over.</summary>
    InProcess,

    /// <summary>Through shared memory, to any process on this machine.</summary>
    SharedMemory,

    /// <summary>Through Redis, to any machine. Comes with <c>Otto.Queue.Redis</c>.</summary>
    Redis,
}
