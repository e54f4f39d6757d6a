using System.Buffers;
using System.Buffers.Text;

namespace Otto.Ipc.Files.Messages;

// How a message stands in a line or a file: as itself where it is JSON on one line, else wrapped as the store wraps (StoredJson). Unlike a
// store's value a message keeps every byte, so JSON with white space around it or line breaks in it is wrapped too.
//
//  {"file":"a.jpg"}               stands for itself
//  {"$base64":"/wAB"}             stands for FF 00 01

internal static class MessageText
{
    private static readonly SearchValues<byte> White = SearchValues.Create(" \t\r\n"u8);

    private static ReadOnlySpan<byte> Opening => "{\"$base64\":\""u8;

    private static ReadOnlySpan<byte> Closing => "\"}"u8;

    /// <summary>The most bytes that stand for a message of this size.</summary>
    public static int MostBytes(int message) => Base64.GetMaxEncodedToUtf8Length(message) + Opening.Length + Closing.Length;

    /// <summary>Writes what stands for a message, one line without its end.</summary>
    /// <param name="message">The message.</param>
    /// <param name="text">Room for <see cref="MostBytes"/>.</param>
    /// <returns>How many bytes were written.</returns>
    public static int Encode(ReadOnlySpan<byte> message, Span<byte> text)
    {
        if (StandsForItself(message))
        {
            message.CopyTo(text);
            return message.Length;
        }

        Opening.CopyTo(text);
        Base64.EncodeToUtf8(message, text[Opening.Length..], out _, out int written);
        Closing.CopyTo(text[(Opening.Length + written)..]);
        return Opening.Length + written + Closing.Length;
    }

    /// <summary>The message that a line or file stands for; what is neither JSON nor
    /// wrapped, such as a shell's plain line, stands for itself.</summary>
    public static ReadOnlyMemory<byte> Decode(ReadOnlyMemory<byte> text)
    {
        ReadOnlySpan<byte> bytes = text.Span;
        if (!bytes.StartsWith(Opening) || !bytes.EndsWith(Closing) || bytes.Length < Opening.Length + Closing.Length)
            return StoredJson.ToValue(text);
        ReadOnlySpan<byte> inside = bytes[Opening.Length..^Closing.Length];
        byte[] message = new byte[Base64.GetMaxDecodedFromUtf8Length(inside.Length)];
        // The alphabet has neither quotes nor backslashes, so what decodes is one whole string. White space is not of it.
        return inside.IndexOfAny(White) < 0 && Base64.DecodeFromUtf8(inside, message, out _, out int length) == OperationStatus.Done
            ? message.AsMemory(0, length)
            : StoredJson.ToValue(text);
    }

    /// <summary>A line or file without the line end that a shell leaves.</summary>
    public static ReadOnlyMemory<byte> WithoutEnd(ReadOnlyMemory<byte> text)
    {
        ReadOnlySpan<byte> bytes = text.Span;
        if (bytes.EndsWith("\n"u8)) bytes = bytes[..^1];
        if (bytes.EndsWith("\r"u8)) bytes = bytes[..^1];
        return text[..bytes.Length];
    }

    private static bool StandsForItself(ReadOnlySpan<byte> message) =>
        message.Length > 0 && !White.Contains(message[0]) && !White.Contains(message[^1]) && message.IndexOfAny((byte)'\n', (byte)'\r') < 0
        && StoredJson.IsJson(message) && message.IndexOf("\"$base64\""u8) < 0;
}
