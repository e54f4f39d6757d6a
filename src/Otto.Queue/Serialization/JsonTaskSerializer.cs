using System.Buffers;
using System.Diagnostics.CodeAnalysis;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;

namespace Otto.Queue;

// The default format: readable in a dead-letter list, and from every language.

/// <summary>Serializes tasks as JSON with System.Text.Json, by source-generated contracts where they are
/// given.</summary>
public sealed class JsonTaskSerializer : ITaskSerializer
{
    // A writer a thread, aimed at a new buffer for each task: a writer a task would be garbage a task.
    [ThreadStatic] private static Utf8JsonWriter? t_writer;

    private readonly JsonSerializerOptions _options;

    /// <summary>Uses the contracts of a source-generated context.</summary>
    /// <param name="context">The context, such as <c>MyTasks.Default</c>.</param>
    public JsonTaskSerializer(JsonSerializerContext context) : this(ThrowIfNull(context).Options)
    {
    }

    /// <summary>Uses the contracts that <paramref name="options"/> resolve.</summary>
    /// <param name="options">The options; made read-only.</param>
    public JsonTaskSerializer(JsonSerializerOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.MakeReadOnly();
        _options = options;
    }

    /// <summary>Where a program gave no contracts: by reflection where the program was built with it, else a serializer
    /// that refuses every type at start.</summary>
    internal static JsonTaskSerializer CreateDefault() => new(new JsonSerializerOptions
    {
        TypeInfoResolver = JsonSerializer.IsReflectionEnabledByDefault ? Reflection() : JsonTypeInfoResolver.Combine(),
    });

    // A trimmed or native program switches JsonSerializer.IsReflectionEnabledByDefault off, and this is then never reached.
    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "reached only where reflection-based JSON is enabled")]
    [UnconditionalSuppressMessage("AOT", "IL3050", Justification = "reached only where reflection-based JSON is enabled")]
    private static DefaultJsonTypeInfoResolver Reflection() => new();

    private static JsonSerializerContext ThrowIfNull(JsonSerializerContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        return context;
    }

    /// <inheritdoc/>
    public byte Format => 1;

    /// <inheritdoc/>
    public string? Refuses(Type task)
        => _options.TryGetTypeInfo(task, out JsonTypeInfo? contract) ? JsonLosses.Find(contract)
        : $"no JSON contract for {task}; add [JsonSerializable(typeof({task.Name}))] to a JsonSerializerContext and pass it to "
        + "UseJson(...)";

    /// <inheritdoc/>
    public void Serialize<TTask>(TTask task, IBufferWriter<byte> output)
    {
        Utf8JsonWriter writer = t_writer ?? new Utf8JsonWriter(output, new JsonWriterOptions { SkipValidation = true });
        t_writer = null; // Taken while in use: a converter that enqueues would otherwise write into our task.
        writer.Reset(output);
        JsonSerializer.Serialize(writer, task, (JsonTypeInfo<TTask>)_options.GetTypeInfo(typeof(TTask)));
        writer.Flush();
        writer.Reset(NullWriter.Instance);
        t_writer = writer;
    }

    /// <inheritdoc/>
    public TTask Deserialize<TTask>(ReadOnlyMemory<byte> payload)
        => JsonSerializer.Deserialize(payload.Span, (JsonTypeInfo<TTask>)_options.GetTypeInfo(typeof(TTask)))
           ?? throw new JsonException($"the payload is null, which is not a {typeof(TTask)}");

    // What an idle writer points at, so that it does not keep the last task's buffer alive.
    private sealed class NullWriter : IBufferWriter<byte>
    {
        internal static readonly NullWriter Instance = new();

        public void Advance(int count)
        {
        }

        public Memory<byte> GetMemory(int sizeHint = 0) => new byte[Math.Max(sizeHint, 256)];

        public Span<byte> GetSpan(int sizeHint = 0) => GetMemory(sizeHint).Span;
    }
}
