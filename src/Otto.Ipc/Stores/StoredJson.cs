using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace Otto.Ipc;

// How any bytes stand where JSON is kept: as themselves where they are JSON, wrapped where they are not.

/// <summary>
/// Values as JSON on one line: bytes that are JSON stand for themselves, any others as <c>{"$base64":"…"}</c>.
/// </summary>
/// <remarks>
/// A JSON value that itself looks like the wrapping is wrapped too, so that every value reads back as it was set.
/// </remarks>
public static class StoredJson
{
    private static readonly JsonWriterOptions OneLine =
        new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true };
    private static readonly JsonReaderOptions Strict = new() { MaxDepth = 64 };

    private static ReadOnlySpan<byte> Wrapping => "$base64"u8;

    /// <summary>Whether bytes are one JSON value, at most 64 levels deep.</summary>
    /// <param name="value">The bytes.</param>
    /// <returns>Whether they are.</returns>
    public static bool IsJson(ReadOnlySpan<byte> value)
    {
        // The reader takes any bytes inside a text; other languages' readers do not.
        if (!Utf8.IsValid(value)) return false;
        var reader = new Utf8JsonReader(value, Strict);
        try
        {
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <summary>The JSON that stands for a value, without line breaks.</summary>
    /// <param name="value">The value.</param>
    /// <returns>The JSON, in UTF-8; <paramref name="value"/> itself where that is JSON on one line.</returns>
    public static ReadOnlyMemory<byte> FromValue(ReadOnlyMemory<byte> value)
    {
        if (!IsJson(value.Span) || IsWrapping(value.Span)) return Wrap(value.Span);
        ReadOnlySpan<byte> trimmed = value.Span.Trim(" \t\r\n"u8);
        if (trimmed.IndexOfAny((byte)'\n', (byte)'\r') < 0) return trimmed.Length == value.Length ? value : trimmed.ToArray();
        // Strings cannot hold raw line breaks, so these stand between tokens.
        var buffer = new ArrayBufferWriter<byte>(value.Length);
        using var document = JsonDocument.Parse(value);
        using (var writer = new Utf8JsonWriter(buffer, OneLine)) document.RootElement.WriteTo(writer);
        return buffer.WrittenMemory;
    }

    /// <summary>The value that a piece of JSON stands for.</summary>
    /// <param name="json">The JSON, in UTF-8.</param>
    /// <returns>The value: the wrapped bytes where it is a wrapping, else <paramref name="json"/> itself.</returns>
    public static ReadOnlyMemory<byte> ToValue(ReadOnlyMemory<byte> json)
    {
        if (!IsWrapping(json.Span)) return json;
        using var document = JsonDocument.Parse(json);
        JsonProperty only = document.RootElement.EnumerateObject().First();
        return only.Value.TryGetBytesFromBase64(out byte[]? bytes) ? bytes : json;
    }

    /// <summary>Whether JSON is an object whose only member is the wrapping's, with a text.</summary>
    private static bool IsWrapping(ReadOnlySpan<byte> json)
    {
        // Cheap for all that does not even mention it.
        if (json.IndexOf(Wrapping) < 0) return false;
        var reader = new Utf8JsonReader(json, Strict);
        try
        {
            return reader.Read() && reader.TokenType == JsonTokenType.StartObject
                && reader.Read() && reader.TokenType == JsonTokenType.PropertyName && reader.ValueTextEquals(Wrapping)
                && reader.Read() && reader.TokenType == JsonTokenType.String
                && reader.Read() && reader.TokenType == JsonTokenType.EndObject;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static ReadOnlyMemory<byte> Wrap(ReadOnlySpan<byte> value)
    {
        var buffer = new ArrayBufferWriter<byte>(value.Length * 4 / 3 + 32);
        using (var writer = new Utf8JsonWriter(buffer, OneLine))
        {
            writer.WriteStartObject();
            writer.WriteBase64String(Wrapping, value);
            writer.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }
}
