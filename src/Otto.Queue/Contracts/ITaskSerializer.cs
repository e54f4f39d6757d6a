using System.Buffers;

namespace Otto.Queue;

// The contract of other formats (Otto.Queue.MessagePack, Otto.Queue.MemoryPack): a few lines adapt any
// serializer that writes to an IBufferWriter.

/// <summary>Turns tasks into bytes and back, for routes that leave the process.</summary>
/// <remarks>Must be safe for use by several threads at once.</remarks>
public interface ITaskSerializer
{
    /// <summary>The format's number in the envelope, so that a worker with another serializer refuses instead of
    /// misreading: 0 raw bytes, 1 JSON, 2 MessagePack,
    /// 3 MemoryPack, 4 to 127 reserved, 128 to 255 free for users.</summary>
    byte Format { get; }

    /// <summary>Whether tasks of a type can be serialized; asked once a type, at start.</summary>
    /// <param name="task">The type.</param>
    /// <returns><see langword="null"/> if it can, else what is missing.</returns>
    string? Refuses(Type task);

    /// <summary>Writes a task.</summary>
    /// <typeparam name="TTask">The type it was declared with.</typeparam>
    /// <param name="task">The task.</param>
    /// <param name="output">Where to.</param>
    void Serialize<TTask>(TTask task, IBufferWriter<byte> output);

    /// <summary>Reads a task. Whatever this throws puts the message among the dead letters.</summary>
    /// <typeparam name="TTask">The type it was declared with.</typeparam>
    /// <param name="payload">The bytes, in the transport's memory: valid until the handler has ended.</param>
    /// <returns>The task.</returns>
    TTask Deserialize<TTask>(ReadOnlyMemory<byte> payload);
}
