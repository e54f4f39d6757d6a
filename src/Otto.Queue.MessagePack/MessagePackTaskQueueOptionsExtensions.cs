using System.Diagnostics.CodeAnalysis;
using MessagePack;

namespace Otto.Queue;

/// <summary>Chooses MessagePack as the format of a queue's tasks.</summary>
public static class MessagePackTaskQueueOptionsExtensions
{
    /// <summary>Serializes tasks as MessagePack with the standard resolver.</summary>
    /// <param name="options">The queue's options.</param>
    /// <returns>The options.</returns>
    [RequiresDynamicCode("The standard resolver emits code at run time. In a native program, pass a resolver that mpc generated.")]
    public static TaskQueueOptions UseMessagePack(this TaskQueueOptions options)
        => options.Use(new MessagePackTaskSerializer());

    /// <summary>Serializes tasks as MessagePack with a resolver, such as a generated one in a native program.</summary>
    /// <param name="options">The queue's options.</param>
    /// <param name="resolver">Finds the formatters of tasks and their members.</param>
    /// <returns>The options.</returns>
    public static TaskQueueOptions UseMessagePack(this TaskQueueOptions options, IFormatterResolver resolver)
        => options.Use(new MessagePackTaskSerializer(resolver));

    /// <summary>Serializes tasks as MessagePack with options of the caller.</summary>
    /// <param name="options">The queue's options.</param>
    /// <param name="serializerOptions">The options, for example with compression.</param>
    /// <returns>The options.</returns>
    public static TaskQueueOptions UseMessagePack(this TaskQueueOptions options, MessagePackSerializerOptions serializerOptions)
       
        => options.Use(new MessagePackTaskSerializer(serializerOptions));

    private static TaskQueueOptions Use(this TaskQueueOptions options, MessagePackTaskSerializer serializer)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Serializer = serializer;
        return options;
    }
}
