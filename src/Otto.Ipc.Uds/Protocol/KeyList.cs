using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Unicode;

namespace Otto.Ipc.Uds.Protocol;

// Keys as a list, and the pattern that chose them.

internal static class KeyList
{
    // What JSON writes otherwise than it is, beyond ASCII nothing.
    private static readonly SearchValues<byte> Escaped =
        SearchValues.Create([.. Enumerable.Range(0, 32).Select(b => (byte)b), (byte)'"', (byte)'\\', 127]);

    /// <summary>Writes a JSON array of keys, without the newline.</summary>
    public static void WriteText(IReplyWriter output, byte[][] keys)
    {
        output.Append("["u8);
        for (int i = 0; i < keys.Length; i++)
        {
            output.Append(i == 0 ? "\""u8 : ",\""u8);
            byte[] key = keys[i];
            output.Append(key.AsSpan().IndexOfAny(Escaped) < 0 ? key
                : Encoding.UTF8.GetBytes(JavaScriptEncoder.UnsafeRelaxedJsonEscaping.Encode(Encoding.UTF8.GetString(key))));
            output.Append("\""u8);
        }

        output.Append("]"u8);
    }

    /// <summary>Writes each key with its length before it.</summary>
    public static void WriteBinary(IReplyWriter output, byte[][] keys)
    {
        foreach (byte[] key in keys)
        {
            Span<byte> room = output.Reserve(2 + key.Length);
            BinaryPrimitives.WriteUInt16LittleEndian(room, (ushort)key.Length);
            key.CopyTo(room[2..]);
            output.Advance(2 + key.Length);
        }
    }

    /// <summary>Parses a pattern.</summary>
    /// <returns>The pattern; <see langword="null"/> if the bytes are not a pattern.</returns>
    public static KeyPattern? Pattern(ReadOnlySpan<byte> glob, out string problem)
    {
        problem = "";
        if (!Utf8.IsValid(glob))
        {
            problem = "a pattern is not UTF-8";
            return null;
        }

        try
        {
            return new KeyPattern(Encoding.UTF8.GetString(glob), WireKey.MaxBytes);
        }
        catch (ArgumentException e)
        {
            problem = e.Message[..e.Message.IndexOf(" (Parameter", StringComparison.Ordinal)];
            return null;
        }
    }
}
