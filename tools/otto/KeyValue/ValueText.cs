using System.Buffers;
using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Unicode;
using Otto.Ipc;
using Otto.Ipc.Uds;

namespace Otto.Tools.KeyValue;

// Values between a command line and the wire: a bare word is a JSON string going in, and a JSON string is a bare word coming out.

internal static class ValueText
{
    private const int MostBytes = 15 << 20;
    private static readonly JsonWriterOptions Readable = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The options by which a command takes a value.</summary>
    public static (Argument<string?> Value, Option<string?> Json) Add(Command command, string name)
    {
        var value = new Argument<string?>(name)
        {
            Description = "The value, a string; '-' or nothing reads standard input: text less one newline at its end, or bytes as "
                + "they are.",
            Arity = ArgumentArity.ZeroOrOne,
        };
        var json = new Option<string?>("--json-value")
            { Description = $"The value is JSON: JSON given here, or {name} or standard input where nothing is.", HelpName = "JSON",
                Arity = ArgumentArity.ZeroOrOne };
        command.Add(value);
        command.Add(json);
        return (value, json);
    }

    /// <summary>The value that was given, as JSON.</summary>
    public static byte[] Read(ParseResult parsed, (Argument<string?> Value, Option<string?> Json) options)
    {
        bool isJson = parsed.GetResult(options.Json) is not null;
        string? given = parsed.GetValue(options.Json), bare = parsed.GetValue(options.Value);
        if (given is not null && bare is not null) throw new ArgumentException("pass either VALUE or --json-value JSON, not both");
        byte[] bytes = (given ?? bare) is { } argument and not "-"
            ? Encoding.UTF8.GetBytes(argument)
            : StandardInput.Read(MostBytes,
                read => new ServerRefusedException("TOOBIG",
                    $"standard input has more than {MostBytes:N0} bytes, the most a value can have"));
        // What is no text is kept as the bytes that it is.
        if (!isJson) return Utf8.IsValid(bytes) ? Json(writer => writer.WriteStringValue(bytes)) : bytes;
        return StoredJson.IsJson(bytes) ? StoredJson.FromValue(bytes).ToArray()
            : throw new ArgumentException(
                "the value is not JSON of at most 64 levels; a text needs double quotes, or leave out --json-value");
    }

    /// <summary>Prints a value: a string without its quotes, anything else as JSON.</summary>
    public static void Print(ReadOnlyMemory<byte> value)
    {
        ReadOnlyMemory<byte> json = StoredJson.FromValue(value);
        using var document = JsonDocument.Parse(json);
        StandardOutput.WriteLine(
            document.RootElement.ValueKind == JsonValueKind.String && TryGetText(document.RootElement) is { } text
            ? Encoding.UTF8.GetBytes(text) : json.Span);
    }

    /// <summary>Prints one line of JSON.</summary>
    public static void PrintJson(Action<Utf8JsonWriter> members) => StandardOutput.WriteLine(Json(writer =>
    {
        writer.WriteStartObject();
        members(writer);
        writer.WriteEndObject();
    }));

    /// <summary>Writes a value as a member of an object.</summary>
    public static void Write(Utf8JsonWriter writer, string name, ReadOnlyMemory<byte> value)
    {
        writer.WritePropertyName(name);
        writer.WriteRawValue(StoredJson.FromValue(value).Span, skipInputValidation: true);
    }

    private static byte[] Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Readable)) write(writer);
        return buffer.WrittenSpan.ToArray();
    }

    private static string? TryGetText(JsonElement value)
    {
        try
        {
            return value.GetString();
        }
        catch (InvalidOperationException)
        {
            // An escaped half of a surrogate pair has no text: it is printed as the JSON that it is.
            return null;
        }
    }
}
