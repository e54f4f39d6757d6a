namespace Otto.Ipc;

// A copy that may be kept and may cross an await; TryReceive shows the same message without a copy.

/// <summary>One message of a topic, in memory of its receiver's own.</summary>
/// <param name="Payload">The message.</param>
/// <param name="Lost">
/// How many messages of the same publisher were lost right before this one; zero while the subscriber keeps up.
/// </param>
public readonly record struct TopicMessage(ReadOnlyMemory<byte> Payload, long Lost);
