using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using MessagePack;

namespace Otto.Queue;

// MessagePack behind the queue's contract. Payloads come from other processes, so they are read as untrusted data.

/// <summary>Serializes tasks as MessagePack.</summary>
/// <remarks>
/// Payloads are read with <see cref="MessagePackSecurity.UntrustedData"/>, which limits depth and makes hash collisions
/// harmless.
/// Do not pass a typeless resolver: with it a payload chooses which types are created.
/// </remarks>
public sealed class MessagePackTaskSerializer : ITaskSerializer
{
    private readonly MessagePackSerializerOptions _options;

    /// <summary>Uses the standard resolver: <c>[MessagePackObject]</c> types, primitives and collections.</summary>
    [RequiresDynamicCode("The standard resolver emits code at run time. In a native program, pass a resolver that mpc generated.")]
    public MessagePackTaskSerializer() : this(MessagePackSerializerOptions.Standard)
    {
    }

    /// <summary>Uses a resolver, such as one that was generated ahead of time for a native program.</summary>
    /// <param name="resolver">Finds the formatters of tasks and their members.</param>
    public MessagePackTaskSerializer(IFormatterResolver resolver) : this(OptionsOf(resolver))
    {
    }

    /// <summary>Uses options of the caller, for example with compression.</summary>
    /// <param name="options">
    /// The options. <see cref="MessagePackSecurity.TrustedData"/>, their default, is replaced by
    /// <see cref="MessagePackSecurity.UntrustedData"/>.
    /// </param>
    public MessagePackTaskSerializer(MessagePackSerializerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        _options = ReferenceEquals(options.Security, MessagePackSecurity.TrustedData)
            ? options.WithSecurity(MessagePackSecurity.UntrustedData) : options;
    }

    /// <inheritdoc/>
    public byte Format => 2;

    /// <inheritdoc/>
    /// <remarks>
    /// The type, and the elements of collections, are checked here. Members are checked with the first task.
    /// </remarks>
    public string? Refuses(Type task)
    {
        ArgumentNullException.ThrowIfNull(task);
        foreach (Type part in PartsOf(task))
            if (Refuses(part) is { } refusal) return refusal;
        try
        {
            return _options.Resolver.GetFormatterDynamic(task) is not null
                ? null
                : $"no MessagePack formatter for {task}; add [MessagePackObject] to it, "
                  + "or pass a resolver that has one to UseMessagePack(...)";
        }
        catch (Exception e)
            when (e is TypeInitializationException or MessagePackSerializationException or System.Reflection.TargetInvocationException)
        {
            return $"no MessagePack formatter for {task}: {e.GetBaseException().Message}";
        }
    }

    /// <inheritdoc/>
    public void Serialize<TTask>(TTask task, IBufferWriter<byte> output)
        => MessagePackSerializer.Serialize(output, task, _options);

    /// <inheritdoc/>
    public TTask Deserialize<TTask>(ReadOnlyMemory<byte> payload)
    {
        TTask task = MessagePackSerializer.Deserialize<TTask>(payload, _options, out int read);
        if (read != payload.Length)
            throw new MessagePackSerializationException($"the task ends after {read:N0} of {payload.Length:N0} bytes");
        return task ?? throw new MessagePackSerializationException("the payload is nil");
    }

    private static MessagePackSerializerOptions OptionsOf(IFormatterResolver resolver)
    {
        ArgumentNullException.ThrowIfNull(resolver);
        return MessagePackSerializerOptions.Standard.WithResolver(resolver);
    }

    private static Type[] PartsOf(Type type)
        => type.IsArray ? [type.GetElementType()!] : type.IsGenericType ? type.GetGenericArguments() : [];
}
