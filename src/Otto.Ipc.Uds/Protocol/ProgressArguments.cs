using System.Text.Json;
using System.Text.Unicode;

namespace Otto.Ipc.Uds.Protocol;

// What stands behind the task in PROGRESS: two numbers, and words for people.

/// <summary>The arguments of PROGRESS, as they came.</summary>
internal ref struct ProgressArguments
{
    /// <summary>How much is done, a JSON number.</summary>
    public ReadOnlySpan<byte> Current;

    /// <summary>The total amount, as a JSON number; empty if it is not known.</summary>
    public ReadOnlySpan<byte> Total;

    /// <summary>What is being done; may be empty.</summary>
    public ReadOnlySpan<byte> Text;

    public static bool TryParse(ReadOnlySpan<byte> arguments, out ProgressArguments parsed, out string problem)
    {
        parsed = default;
        parsed.Current = Token(arguments, out ReadOnlySpan<byte> rest);
        parsed.Total = Token(rest, out parsed.Text);
        problem = !IsNumber(parsed.Current) ? "PROGRESS needs a task, then how much is done as a number"
            : !IsNumber(parsed.Total) && !parsed.Total.SequenceEqual("-"u8)
            ? "PROGRESS needs the total as a number, or - where it is not known"
            : !Utf8.IsValid(parsed.Text) ? "the text of PROGRESS is not UTF-8"
            : "";
        if (parsed.Total.SequenceEqual("-"u8)) parsed.Total = default;
        return problem.Length == 0;
    }

    private static ReadOnlySpan<byte> Token(ReadOnlySpan<byte> text, out ReadOnlySpan<byte> rest)
    {
        int space = text.IndexOf((byte)' ');
        rest = space < 0 ? default : text[space..].Trim((byte)' ');
        return space < 0 ? text : text[..space];
    }

    private static bool IsNumber(ReadOnlySpan<byte> token)
    {
        if (token.IsEmpty || token.Length > 64) return false;
        var reader = new Utf8JsonReader(token);
        try
        {
            return reader.Read() && reader.TokenType == JsonTokenType.Number && reader.BytesConsumed == token.Length && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
