using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;

namespace Otto.Ipc.Files.Stores;

// What a store's file holds at one moment: one JSON object, a member a line, keys in ordinal order. It never changes, so any number of
// threads read it; a change makes the next one, with its text.

internal sealed class StoreObject
{
    private static readonly JsonReaderOptions Strict = new() { MaxDepth = 65 };

    public static readonly StoreObject Empty = new("{}\n"u8.ToArray(), [], []);

    private readonly Dictionary<string, ReadOnlyMemory<byte>> _values;
    private readonly string[] _keys;

    private StoreObject(byte[] text, string[] keys, Dictionary<string, ReadOnlyMemory<byte>> values)
    {
        Text = text;
        _keys = keys;
        _values = values;
    }

    public byte[] Text { get; }

    /// <summary>All keys in ordinal order; a foreign program may have put in what
    /// <see cref="StoreKey"/> would refuse.</summary>
    public IReadOnlyList<string> Keys => _keys;

    /// <summary>Takes a file apart.</summary>
    /// <exception cref="CorruptSegmentException">It is not one JSON object.</exception>
    public static StoreObject Parse(byte[] text, string path)
    {
        try
        {
            if (!Utf8.IsValid(text)) throw new JsonException("it is not UTF-8");
            var reader = new Utf8JsonReader(text, Strict);
            if (text.Length == 0 || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
                throw new JsonException($"it does not begin with '{{' ({text.Length:N0} bytes).");
            var values = new Dictionary<string, ReadOnlyMemory<byte>>(StringComparer.Ordinal);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                string key = reader.GetString()!;
                reader.Read();
                int start = (int)reader.TokenStartIndex;
                reader.Skip();
                // The last of equal keys counts, as for jq.
                values[key] = text.AsMemory(start, (int)reader.BytesConsumed - start);
            }

            while (reader.Read())
            {
            }

            string[] keys = [.. values.Keys];
            Array.Sort(keys, StringComparer.Ordinal);
            return new StoreObject(text, keys, values);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new CorruptSegmentException($"{path} is not one JSON object: {e.Message} Repair it or remove it", e);
        }
    }

    /// <summary>Gets the JSON of a key; <see langword="null"/> if there is none.</summary>
    public ReadOnlyMemory<byte>? Find(string key) =>
        _values.TryGetValue(key, out ReadOnlyMemory<byte> json) ? json : (ReadOnlyMemory<byte>?)null;

    /// <summary>The object with a key set.</summary>
    public StoreObject With(string key, ReadOnlyMemory<byte> json)
    {
        int at = Array.BinarySearch(_keys, key, StringComparer.Ordinal);
        return Compose(at >= 0 ? _keys : [.. _keys.AsSpan(0, ~at), key, .. _keys.AsSpan(~at)], key, json);
    }

    /// <summary>Gets the object without a key; <see langword="null"/> if it does not have the key.</summary>
    public StoreObject? Without(string key)
    {
        int at = Array.BinarySearch(_keys, key, StringComparer.Ordinal);
        if (at < 0) return null;
        return _keys.Length == 1 ? Empty : Compose([.. _keys.AsSpan(0, at), .. _keys.AsSpan(at + 1)], null, default);
    }

    /// <summary>Writes the text of some keys, one of which may have a new value.</summary>
    private StoreObject Compose(string[] keys, string? changed, ReadOnlyMemory<byte> json)
    {
        var text = new ArrayBufferWriter<byte>(Text.Length + json.Length + 64);
        var places = new (int Start, int Length)[keys.Length];
        for (int i = 0; i < keys.Length; i++)
        {
            text.Write(i == 0 ? "{\n  \""u8 : ",\n  \""u8);
            text.Write(JsonEncodedText.Encode(keys[i], JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
            text.Write("\": "u8);
            ReadOnlyMemory<byte> value = keys[i] == changed ? json : _values[keys[i]];
            places[i] = (text.WrittenCount, value.Length);
            text.Write(value.Span);
        }

        text.Write("\n}\n"u8);
        byte[] bytes = text.WrittenSpan.ToArray();
        var values = new Dictionary<string, ReadOnlyMemory<byte>>(keys.Length, StringComparer.Ordinal);
        for (int i = 0; i < keys.Length; i++) values[keys[i]] = bytes.AsMemory(places[i].Start, places[i].Length);
        return new StoreObject(bytes, keys, values);
    }
}
