using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using MemoryPack;

namespace Otto.Queue;

// MemoryPack behind the queue's contract.

/// <summary>Serializes tasks with MemoryPack, whose generator makes the code at build time.</summary>
/// <remarks>
/// The format holds members in their order and without names. Producers and workers need the same definition of a type,
/// or one with <c>GenerateType.VersionTolerant</c>.
/// In a trimmed or native program, call <c>MemoryPackFormatterProvider.Register&lt;T&gt;()</c> for each task type
/// before the queue is created. A type that was forgotten is refused then.
/// </remarks>
public sealed class MemoryPackTaskSerializer : ITaskSerializer
{
    private readonly MemoryPackSerializerOptions _options;

    /// <summary>Uses the default options, or those of the caller.</summary>
    /// <param name="options">How text is encoded; UTF-8 by default. Producers and workers may differ.</param>
    public MemoryPackTaskSerializer(MemoryPackSerializerOptions? options = null)
        => _options = options ?? MemoryPackSerializerOptions.Default;

    /// <inheritdoc/>
    public byte Format => 3;

    /// <inheritdoc/>
    /// <remarks>
    /// The type, and the elements of collections, are checked here. The generator checked the members
    /// when the program was built.
    /// </remarks>
    public string? Refuses(Type task)
    {
        ArgumentNullException.ThrowIfNull(task);
        foreach (Type part in PartsOf(task))
            if (Refuses(part) is { } refusal) return refusal;
        try
        {
            // The provider has no question of its own by type; a value of nothing goes through the same formatter.
            _ = MemoryPackSerializer.Serialize(task, null, _options);
            return null;
        }
        catch (InvalidOperationException e)
        {
            // The type has a formatter, and trimming took away the method by which it is found.
            return $"the MemoryPack formatter of {task} was trimmed; "
                + $"call MemoryPackFormatterProvider.Register<{task.Name}>() first: {e.Message}";
        }
        catch (Exception e) when (e is MemoryPackSerializationException or TypeInitializationException or NotSupportedException)
        {
            return $"no MemoryPack formatter for {task}; add [MemoryPackable] to it and make it partial: {e.GetBaseException().Message}";
        }
    }

    /// <inheritdoc/>
    public void Serialize<TTask>(TTask task, IBufferWriter<byte> output)
        => MemoryPackSerializer.Serialize(output, task, _options);

    /// <inheritdoc/>
    [UnconditionalSuppressMessage("Trimming", "IL2091",
        Justification = "Only the generated registration is looked up by reflection. "
            + "A type whose registration was trimmed is refused at start.")]
    public TTask Deserialize<TTask>(ReadOnlyMemory<byte> payload)
    {
        TTask? task = default;
        int read = MemoryPackSerializer.Deserialize(payload.Span, ref task, _options);
        if (read != payload.Length)
            throw new MemoryPackSerializationException($"the task ends after {read:N0} of {payload.Length:N0} bytes");
        return task ?? throw new MemoryPackSerializationException("the payload is null");
    }

    private static Type[] PartsOf(Type type)
        => type.IsArray ? [type.GetElementType()!] : type.IsGenericType ? type.GetGenericArguments() : [];
}
