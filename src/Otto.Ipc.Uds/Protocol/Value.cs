namespace Otto.Ipc.Uds.Protocol;

// A value as both kinds of client see it: bytes for the binary ones, JSON on one line for the text ones. Never changed once it is made, so
// that an answer, an event or a snapshot may hold it while the store goes on.

/// <summary>One value of the store, or one message of a topic.</summary>
internal sealed class Value
{
    // What the text is: the bytes themselves, something else that is kept, or not known yet.
    private byte[]? _text;

    private Value(byte[] bytes, byte[]? text)
    {
        Bytes = bytes;
        _text = text;
    }

    /// <summary>The value as it was set through binary, or what its JSON stands for.</summary>
    public byte[] Bytes { get; }

    /// <summary>How much memory it takes, besides what every value takes.</summary>
    public int HeldBytes => Bytes.Length + (_text is null || ReferenceEquals(_text, Bytes) ? 0 : _text.Length);

    /// <summary>The value as JSON on one line.</summary>
    public byte[] Text
    {
        get
        {
            if (_text is not null) return _text;
            ReadOnlyMemory<byte> json = StoredJson.FromValue(Bytes);
            // Where the bytes are such JSON, that is remembered; anything else is made again each time, since nobody counted its room.
            if (json.Length == Bytes.Length && json.Span.Overlaps(Bytes)) return _text = Bytes;
            return json.ToArray();
        }
    }

    /// <summary>A value of a binary client.</summary>
    public static Value FromBytes(ReadOnlySpan<byte> bytes) => new(bytes.ToArray(), null);

    /// <summary>A value of a text client.</summary>
    /// <param name="json">The JSON, without white space around it.</param>
    /// <returns>The value; <see langword="null"/> if the text is not JSON.</returns>
    public static Value? FromText(ReadOnlySpan<byte> json)
    {
        if (!StoredJson.IsJson(json)) return null;
        byte[] text = json.ToArray();
        // A carriage return between tokens is white space to JSON and the end of a line to many a client.
        if (json.Contains((byte)'\r')) text = StoredJson.FromValue(text).ToArray();
        ReadOnlyMemory<byte> value = StoredJson.ToValue(text);
        return value.Length == text.Length && value.Span.Overlaps(text) ? new Value(text, text) : new Value(value.ToArray(), text);
    }

    /// <summary>A value that the server made: JSON on one line.</summary>
    public static Value FromJson(byte[] json) => new(json, json);
}
