using Otto.Ipc;

namespace Otto.Queue;

// A task that was given up, as far as its bytes can be read.

/// <summary>A task that was given up.</summary>
/// <param name="Queue">The queue that contains it.</param>
/// <param name="Route">The route whose list it is on.</param>
/// <param name="Name">The task's name; empty if its envelope cannot be read.</param>
/// <param name="Id">The task's id; default where its envelope cannot be read.</param>
/// <param name="Payload">The serialized task; the whole message where its envelope cannot be read.</param>
/// <param name="Attempts">How often it was tried, as its route counted.</param>
/// <param name="Reason">Why it was given up.</param>
/// <param name="Letter">Its name on that route.</param>
public sealed record DeadLetteredTask(string Queue, RouteName Route, string Name, TaskId Id, ReadOnlyMemory<byte> Payload, int Attempts,
    string Reason, DeadLetterId Letter);
