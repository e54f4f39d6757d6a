using System.Text;

namespace Otto.Ipc.Uds.Protocol;

// Keys as the wire has them: bytes, checked without making text of almost all of them.

/// <summary>What may be a key on the server.</summary>
internal static class WireKey
{
    /// <summary>The longest key: what <see cref="StoreKey"/> allows, behind a store's name and a dot.</summary>
    public const int MaxBytes = StoreKey.MaxBytes + ChannelName.MaxLength + 1;

    /// <summary>Gets the reason why bytes cannot be a key.</summary>
    /// <returns>The reason; <see langword="null"/> if they can be a key.</returns>
    public static string? Describe(ReadOnlySpan<byte> key)
    {
        if (IsPlain(key)) return null;
        if (key.IsEmpty) return $"a key is empty; use 1 to {StoreKey.MaxBytes} bytes";
        int counted = key.Length <= StoreKey.MaxBytes ? key.Length : key.Length - StorePrefix(key);
        if (counted > StoreKey.MaxBytes) return $"key of {key.Length:N0} bytes exceeds the limit of {StoreKey.MaxBytes}";
        if (!System.Text.Unicode.Utf8.IsValid(key)) return "a key is not UTF-8";
        foreach (Rune rune in Encoding.UTF8.GetString(key).EnumerateRunes())
        {
            if (Rune.IsWhiteSpace(rune) || Rune.IsControl(rune))
                return $"key has U+{rune.Value:X4}; white space and control characters cannot stand in a key";
        }

        return null;
    }

    private static bool IsPlain(ReadOnlySpan<byte> key)
    {
        // Almost every key: visible ASCII.
        return key.Length is > 0 and <= StoreKey.MaxBytes && key.IndexOfAnyExceptInRange((byte)'!', (byte)'~') < 0;
    }

    /// <summary>How many bytes a store's name and its dot take at the beginning of a key
    /// that is too long without them.</summary>
    private static int StorePrefix(ReadOnlySpan<byte> key)
    {
        // The last dot that can end a name of at most 100 bytes.
        int dot = key[..Math.Min(key.Length, ChannelName.MaxLength + 1)].LastIndexOf((byte)'.');
        if (dot < 1) return 0;
        foreach (byte b in key[..dot])
        {
            if (!char.IsAsciiLetterOrDigit((char)b) && b is not ((byte)'.' or (byte)'_' or (byte)'-')) return 0;
        }

        return dot + 1;
    }
}
