namespace Otto.Queue;

// The name of a route, as receipts, telemetry and configuration show it. Open: a route of another package brings its own.

/// <summary>Names a route that tasks can take.</summary>
/// <param name="Value">The name, such as <c>SharedMemory</c>; compared exactly.</param>
public readonly record struct RouteName(string Value)
{
    /// <summary>Within this process: the same object is handed over.</summary>
    public static RouteName InProcess { get; } = new("InProcess");

    /// <summary>Through shared memory, to any process on this machine.</summary>
    public static RouteName SharedMemory { get; } = new("SharedMemory");

    /// <summary>Through Redis, to any machine. Comes with <c>Otto.Queue.Redis</c>.</summary>
    public static RouteName Redis { get; } = new("Redis");

    /// <summary>The name.</summary>
    /// <returns>The text; empty for the default value.</returns>
    public override string ToString() => Value ?? "";
}
