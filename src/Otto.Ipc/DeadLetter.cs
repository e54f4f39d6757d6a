namespace Otto.Ipc;

// A copy, so that a person may read it while the queue goes on.

/// <summary>A message that was given up, copied out.</summary>
/// <param name="Id">
/// Its name, for <see cref="WorkQueue.RequeueDeadLetter"/> and <see cref="WorkQueue.DeleteDeadLetter"/>.
/// </param>
/// <param name="Payload">The message.</param>
/// <param name="Attempts">How many attempts were made.</param>
/// <param name="Reason">Why it was given up, as its last worker said.</param>
public sealed record DeadLetter(DeadLetterId Id, ReadOnlyMemory<byte> Payload, int Attempts, string Reason);
