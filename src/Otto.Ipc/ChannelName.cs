using System.Diagnostics.CodeAnalysis;

namespace Otto.Ipc;

// A name becomes part of a file name in every transport, so it is checked once, here, before any path exists.

/// <summary>
/// The name of a stream, queue, topic or store: 1 to 100 ASCII letters, digits, <c>.</c>, <c>_</c> or <c>-</c>.
/// </summary>
/// <remarks>
/// A name is never a path: separators are refused, and so are <c>.</c> and <c>..</c>. The default value has no name,
/// and every transport refuses it.
/// </remarks>
public readonly record struct ChannelName
{
    /// <summary>The longest name, in bytes.</summary>
    public const int MaxLength = 100;

    private readonly string? _value;

    /// <summary>Checks <paramref name="value"/> and makes it a name.</summary>
    /// <param name="value">The name as text.</param>
    /// <exception cref="ArgumentException">
    /// The text is empty, too long, or holds a character that a name may not have; the
    /// message names it and its position.
    /// </exception>
    public ChannelName(string value)
    {
        if (Describe(value) is { } problem) throw new ArgumentException(problem, nameof(value));
        _value = value;
    }

    /// <summary>The name as text.</summary>
    /// <exception cref="InvalidOperationException">This is <see langword="default"/>, not a name.</exception>
    public string Value => _value ?? throw new InvalidOperationException("a channel needs a name; this is default(ChannelName)");

    /// <summary>Makes a name of <paramref name="value"/> if it is a valid one.</summary>
    /// <param name="value">The text to check.</param>
    /// <param name="name">The name, or <see langword="default"/>.</param>
    /// <returns><see langword="false"/> if the text is not a valid name.</returns>
    public static bool TryParse([NotNullWhen(true)] string? value, out ChannelName name)
    {
        bool valid = Describe(value) is null;
        name = valid ? new ChannelName(value!) : default;
        return valid;
    }

    /// <summary>Converts text to a name; checks it as the constructor does.</summary>
    /// <param name="value">The name as text.</param>
    public static implicit operator ChannelName(string value) => new(value);

    /// <summary>Checks <paramref name="value"/> as the constructor does.</summary>
    /// <param name="value">The name as text.</param>
    /// <returns>The name.</returns>
    public static ChannelName FromString(string value) => new(value);

    /// <summary>The name as text, or an empty string for <see langword="default"/>.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => _value ?? "";

    private static string? Describe(string? value)
    {
        if (string.IsNullOrEmpty(value)) return "a channel name is empty; use 1 to 100 letters, digits, '.', '_' or '-'";
        for (int i = 0; i < value.Length; i++)
        {
            char c = value[i];
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '_' or '-'))
                return $"channel name has U+{(int)c:X4} at position {i}; use letters, digits, '.', '_' or '-' (a name is never a path)";
        }

        if (value.Length > MaxLength) return $"channel name of {value.Length} bytes exceeds the limit of {MaxLength}";
        return value is "." or ".." ? $"'{value}' is a path, not a channel name" : null;
    }
}
