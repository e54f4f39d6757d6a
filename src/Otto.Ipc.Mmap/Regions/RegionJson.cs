using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace Otto.Ipc.Mmap.Regions;

// The text of a region. A key is replaced by splicing bytes, so that what other programs wrote (their number formats, their escapes,
// even their repeated keys) comes through untouched.

internal static class RegionJson
{
    public const int MaxKeyBytes = 250;

    public static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Gets the reason why the bytes are not a region's text, or <see langword="null"/> if they
    /// are.</summary>
    public static string? Problem(ReadOnlySpan<byte> text)
    {
        if (!Utf8.IsValid(text)) return $"the {text.Length} bytes of JSON are not UTF-8";
        try
        {
            var reader = new Utf8JsonReader(text);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return $"the JSON is a {reader.TokenType}, not an object";
            while (reader.Read())
            {
            }

            return null;
        }
        catch (JsonException e)
        {
            return $"the {text.Length} bytes of JSON are malformed: {e.Message}";
        }
    }

    /// <summary>Checks a key: it must be usable on a command line and print on one line.</summary>
    /// <exception cref="ArgumentException">The key is not usable. The message gives the reason.</exception>
    public static void CheckKey(string key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (key.Length == 0) throw new ArgumentException($"a key is empty; use 1 to {MaxKeyBytes} bytes");
        int position = 0;
        foreach (Rune rune in key.EnumerateRunes())
        {
            if (rune == Rune.ReplacementChar || Rune.IsControl(rune) || Rune.IsWhiteSpace(rune))
                throw new ArgumentException($"a key has U+{rune.Value:X4} at position {position}; white space, control characters and "
                    + $"broken text are not allowed");
            position += rune.Utf16SequenceLength;
        }

        int bytes = Encoding.UTF8.GetByteCount(key);
        if (bytes > MaxKeyBytes) throw new ArgumentException($"a key of {bytes} bytes exceeds the limit of {MaxKeyBytes}");
    }

    public static byte[] ToBytes(JsonNode? value)
    {
        if (value is null) return "null"u8.ToArray();
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Readable)) value.WriteTo(writer);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>The text with one key set; at its old place where it had one, at the end otherwise.</summary>
    /// <param name="text">A region's text, checked.</param>
    /// <param name="key">The key.</param>
    /// <param name="value">The value as JSON, or empty to take the key out.</param>
    /// <returns>The new text, or <see langword="null"/> if there was nothing to remove.</returns>
    public static byte[]? With(ReadOnlySpan<byte> text, string key, ReadOnlySpan<byte> value)
    {
        var result = new ArrayBufferWriter<byte>(text.Length + value.Length + key.Length + 16);
        bool done = value.IsEmpty, found = false, empty = true;
        result.Write("{"u8);

        var reader = new Utf8JsonReader(text);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            int start = (int)reader.TokenStartIndex;
            bool same = SameName(ref reader, key);
            reader.Read();
            reader.Skip();
            found |= same;
            if (!same) Append(result, text[start..(int)reader.BytesConsumed], ref empty);
            else if (!done) AppendProperty(result, key, value, ref empty);
            done |= same;
        }

        if (!done) AppendProperty(result, key, value, ref empty);
        result.Write("}"u8);
        return value.IsEmpty && !found ? null : result.WrittenSpan.ToArray();
    }

    /// <summary>Gets the name at the current position of the reader, or <see langword="null"/> if it is an escaped
    /// half of a surrogate pair. Such a name is not a key of a region.</summary>
    public static string? Name(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>The text as objects that can be changed; of a repeated key the last counts,
    /// as in most languages.</summary>
    public static JsonObject ToObject(ReadOnlyMemory<byte> text)
    {
        using JsonDocument document = JsonDocument.Parse(text);
        var result = new JsonObject();
        try
        {
            foreach (JsonProperty property in document.RootElement.EnumerateObject())
                result[property.Name] = property.Value.ValueKind == JsonValueKind.Null ? null : JsonNode.Parse(property.Value.GetRawText());
        }
        catch (InvalidOperationException e)
        {
            throw new CorruptSegmentException($"a key of the region holds half a surrogate pair: {e.Message}", e);
        }

        return result;
    }

    private static bool SameName(ref Utf8JsonReader reader, string key)
    {
        try
        {
            return reader.ValueTextEquals(key);
        }
        catch (InvalidOperationException)
        {
            // An escaped half of a surrogate pair: other languages write it, and it is no key of ours.
            return false;
        }
    }

    private static void AppendProperty(ArrayBufferWriter<byte> result, string key, ReadOnlySpan<byte> value, ref bool empty)
    {
        Append(result, "\""u8, ref empty);
        result.Write(JsonEncodedText.Encode(key, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
        result.Write("\":"u8);
        result.Write(value);
    }

    private static void Append(ArrayBufferWriter<byte> result, ReadOnlySpan<byte> bytes, ref bool empty)
    {
        if (!empty) result.Write(","u8);
        result.Write(bytes);
        empty = false;
    }
}
