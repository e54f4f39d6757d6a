using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using Otto.Queue;

namespace Otto.Tools.Queue;

// The lines of --workers, as docs/workers.md has them: a task as JSON, and the answer to it.

internal static class TaskLine
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Writes a task and a line end.</summary>
    /// <param name="context">The task.</param>
    /// <param name="payload">Its payload.</param>
    /// <param name="json">Whether the payload is JSON, which stands in the line as it is.</param>
    public static byte[] Write(TaskContext context, ReadOnlySpan<byte> payload, bool json)
    {
        ArrayBufferWriter<byte> line = new(payload.Length + 256);
        using (Utf8JsonWriter writer = new(line, s_options))
        {
            writer.WriteStartObject();
            writer.WriteString("id", context.Id.ToString());
            writer.WriteString("name", context.Name);
            writer.WriteString("queue", context.Queue);
            writer.WriteNumber("attempt", context.Attempt);
            writer.WriteNumber("maxAttempts", context.MaxAttempts);
            if (json) WriteJson(writer, payload);
            else if (Utf8.IsValid(payload)) writer.WriteString("payload", payload);
            else writer.WriteBase64String("base64", payload);
            writer.WriteEndObject();
        }

        line.Write("\n"u8);
        return line.WrittenSpan.ToArray();
    }

    // Parsed and written again: a line break in it would end the line.
    private static void WriteJson(Utf8JsonWriter writer, ReadOnlySpan<byte> payload)
    {
        writer.WritePropertyName("payload");
        try
        {
            Utf8JsonReader reader = new(payload);
            using JsonDocument document = JsonDocument.ParseValue(ref reader);
            document.WriteTo(writer);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // The second: half of a surrogate pair.
        {
            throw new TaskRejectedException($"the payload is not JSON: {e.Message}", e);
        }
    }
}

/// <summary>An answer to a task: its result, or why the attempt failed.</summary>
internal sealed record TaskAnswer(ReadOnlyMemory<byte> Value, string? Error, bool Retry)
{
    /// <exception cref="InvalidDataException">It is no answer, or one to another task.</exception>
    public static TaskAnswer Parse(ReadOnlyMemory<byte> line, string id)
    {
        try
        {
            using JsonDocument document = JsonDocument.Parse(line);
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object) throw NoAnswer(line);
            if (root.TryGetProperty("id", out JsonElement of) && (of.ValueKind != JsonValueKind.String || of.GetString() != id))
                throw new InvalidDataException($"the answer is to the task {of.GetRawText()}, not to \"{id}\"");
            if (root.TryGetProperty("error", out JsonElement error) && error.ValueKind == JsonValueKind.String)
            {
                bool retry = !root.TryGetProperty("retry", out JsonElement again) || again.ValueKind != JsonValueKind.False;
                return new TaskAnswer(default, error.GetString(), retry);
            }

            if (!root.TryGetProperty("ok", out JsonElement ok) || ok.ValueKind != JsonValueKind.True) throw NoAnswer(line);
            string result = root.TryGetProperty("result", out JsonElement value) ? value.GetRawText() : "null";
            return new TaskAnswer(Encoding.UTF8.GetBytes(result), null, false);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException) // The second: half of a surrogate pair.
        {
            throw NoAnswer(line);
        }
    }

    /// <exception cref="InvalidOperationException">The attempt failed, and may be made again.</exception>
    /// <exception cref="TaskRejectedException">It failed as it would again.</exception>
    public ReadOnlyMemory<byte> Result() => Error is null ? Value
        : Retry ? throw new InvalidOperationException(Error)
        : throw new TaskRejectedException(Error);

    private static InvalidDataException NoAnswer(ReadOnlyMemory<byte> line)
    {
        const int MostShown = 60;
        string text = Encoding.UTF8.GetString(line.Span[..Math.Min(line.Length, MostShown)]);
        return new($"the answer must be {{\"ok\":true}} or {{\"error\":\"why\"}}, not '{text}{(line.Length > MostShown ? "…" : "")}'");
    }
}
