using System.Text.Json;

namespace Otto.Ipc.Mmap.Regions;

// One whole value, out of the shared file and into private memory, so that it stays as it was read.

/// <summary>What a region held at one moment.</summary>
public sealed class RegionSnapshot
{
    private readonly byte[] _text;

    internal RegionSnapshot(byte[] text)
    {
        _text = text;
        try
        {
            Root = JsonElement.Parse(text);
        }
        catch (JsonException e)
        {
            throw new CorruptSegmentException($"the {text.Length} bytes of JSON are malformed: {e.Message}", e);
        }
    }

    /// <summary>The region's text as it is stored in the file: one JSON object in UTF-8.</summary>
    public ReadOnlyMemory<byte> Utf8 => _text;

    /// <summary>The region's object.</summary>
    public JsonElement Root { get; }

    /// <summary>The value of a key.</summary>
    /// <param name="key">The key.</param>
    /// <returns>The value, or <see langword="null"/> if the region does not have the key. JSON's <c>null</c> is a
    /// value. If a key is repeated, the last one counts.</returns>
    public JsonElement? this[string key]
    {
        get
        {
            JsonElement? found = null;
            foreach (JsonProperty property in Root.EnumerateObject())
                if (HasName(property, key))
                    found = property.Value;
            return found;
        }
    }

    /// <summary>Whether both hold the same text, byte for byte.</summary>
    /// <param name="other">The other.</param>
    /// <returns><see langword="true"/> if all bytes are equal; otherwise, <see langword="false"/>.</returns>
    public bool SameAs(RegionSnapshot other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return _text.AsSpan().SequenceEqual(other._text);
    }

    private static bool HasName(JsonProperty property, string key)
    {
        try
        {
            return property.NameEquals(key);
        }
        catch (InvalidOperationException)
        {
            // An escaped half of a surrogate pair: other languages write it, and it is no key of ours.
            return false;
        }
    }
}
