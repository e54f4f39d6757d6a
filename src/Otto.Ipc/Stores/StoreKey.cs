using System.Text;

namespace Otto.Ipc;

// What may be a key, the same for every transport: a key stands on a line of the text protocol and inside JSON, so it has no white space.

/// <summary>The rules for keys: 1 to 250 bytes of UTF-8, without white space or control characters.</summary>
public static class StoreKey
{
    /// <summary>The longest key, in bytes of UTF-8.</summary>
    public const int MaxBytes = 250;

    /// <summary>Whether <paramref name="key"/> may be a key.</summary>
    /// <param name="key">The text to check.</param>
    /// <param name="problem">Why it may not; <see langword="null"/> if it may.</param>
    /// <returns><see langword="false"/> if it may not.</returns>
    public static bool IsValid(string? key, out string? problem)
    {
        problem = Describe(key);
        return problem is null;
    }

    /// <summary>Throws if a text is not a valid key.</summary>
    /// <param name="key">The text to check.</param>
    /// <exception cref="ArgumentException">The text is not a valid key. The message describes the reason.</exception>
    public static void Check(string? key)
    {
        if (Describe(key) is { } problem) throw new ArgumentException(problem, nameof(key));
    }

    private static string? Describe(string? key)
    {
        if (string.IsNullOrEmpty(key)) return "a key is empty; use 1 to 250 bytes";
        for (int i = 0; i < key.Length; i++)
        {
            char c = key[i];
            if (char.IsWhiteSpace(c) || char.IsControl(c))
                return $"key has U+{(int)c:X4} at position {i}; white space and control characters cannot stand in a key";
            if (char.IsSurrogate(c) && !(i + 1 < key.Length && char.IsSurrogatePair(c, key[i + 1]))
                && !(i > 0 && char.IsSurrogatePair(key[i - 1], c)))
                return $"key has half of a surrogate pair at position {i}";
        }

        int bytes = Encoding.UTF8.GetByteCount(key);
        return bytes > MaxBytes ? $"key of {bytes:N0} bytes exceeds the limit of {MaxBytes}" : null;
    }
}
