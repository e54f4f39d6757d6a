using MemoryPack;

namespace Otto.Queue;

/// <summary>Chooses MemoryPack as the format of a queue's tasks.</summary>
public static class MemoryPackTaskQueueOptionsExtensions
{
    /// <summary>Serializes tasks with MemoryPack.</summary>
    /// <param name="options">The queue's options.</param>
    /// <param name="serializerOptions">How text is encoded; UTF-8 unless said otherwise.</param>
    /// <returns>The options.</returns>
    public static TaskQueueOptions UseMemoryPack(this TaskQueueOptions options, MemoryPackSerializerOptions? serializerOptions = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Serializer = new MemoryPackTaskSerializer(serializerOptions);
        return options;
    }
}
