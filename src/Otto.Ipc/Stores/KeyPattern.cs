namespace Otto.Ipc;

// Globs over keys. Matched in time linear in the key for each star of the pattern and without backtracking beyond the last star: a pattern
// comes from anyone, so none may be expensive.

/// <summary>
/// A pattern for keys: <c>*</c> is any run of characters (dots too), <c>?</c> is one, <c>[a-z]</c> is one of a range,
/// <c>[!a-z]</c> one that is not.
/// </summary>
/// <remarks>
/// Everything else stands for itself, and so does a bracket that is never closed. Matching costs at most the product
/// of both lengths.
/// </remarks>
public sealed class KeyPattern
{
    /// <summary>The longest pattern, in characters.</summary>
    public const int MaxLength = 250;

    private readonly string _pattern;
    private readonly bool _literal;

    /// <summary>Makes a pattern.</summary>
    /// <param name="pattern">Its text.</param>
    /// <exception cref="ArgumentException">It is empty, too long, or has white space in it.</exception>
    public KeyPattern(string pattern)
        : this(pattern, MaxLength)
    {
    }

    /// <summary>
    /// For transports that put something of their own before a pattern: makes one with another limit.
    /// </summary>
    /// <param name="pattern">Its text.</param>
    /// <param name="maxLength">The longest, in characters.</param>
    internal KeyPattern(string pattern, int maxLength)
    {
        if (string.IsNullOrEmpty(pattern)) throw new ArgumentException("a pattern is empty; use * for every key", nameof(pattern));
        if (pattern.Length > maxLength)
            throw new ArgumentException($"pattern of {pattern.Length:N0} characters exceeds the limit of {maxLength}", nameof(pattern));
        foreach (char c in pattern)
        {
            if (char.IsWhiteSpace(c) || char.IsControl(c))
                throw new ArgumentException($"pattern has U+{(int)c:X4}; no key has white space or control characters", nameof(pattern));
        }

        _pattern = pattern;
        MatchesAll = pattern.AsSpan().Trim('*').IsEmpty;
        _literal = pattern.AsSpan().IndexOfAny('*', '?', '[') < 0;
    }

    /// <summary>Whether every key matches.</summary>
    public bool MatchesAll { get; }

    /// <summary>The one key that matches, where the pattern has no wildcard.</summary>
    public string? Literal => _literal ? _pattern : null;

    /// <summary>Whether a key matches.</summary>
    /// <param name="key">The key.</param>
    /// <returns>Whether it does.</returns>
    public bool Matches(ReadOnlySpan<char> key)
    {
        if (MatchesAll) return true;
        if (_literal) return key.SequenceEqual(_pattern);
        int p = 0, k = 0, star = -1, starKey = 0;
        while (k < key.Length)
        {
            if (p < _pattern.Length && _pattern[p] == '*')
            {
                // Only the last star ever has to give way: what an earlier one matched stays matched.
                star = p++;
                starKey = k;
            }
            else if (p < _pattern.Length && MatchesOne(p, key[k], out int next))
            {
                p = next;
                k++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                k = ++starKey;
            }
            else
            {
                return false;
            }
        }

        while (p < _pattern.Length && _pattern[p] == '*') p++;
        return p == _pattern.Length;
    }

    /// <summary>The pattern's text.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => _pattern;

    private bool MatchesOne(int p, char c, out int next)
    {
        next = p + 1;
        char wanted = _pattern[p];
        if (wanted == '?') return true;
        int close = wanted == '[' ? Close(p) : -1;
        if (close < 0) return wanted == c;
        next = close + 1;
        bool negated = _pattern[p + 1] is '!' or '^';
        bool inside = false;
        for (int i = p + (negated ? 2 : 1); i < close; i++)
        {
            if (i + 2 < close && _pattern[i + 1] == '-')
            {
                inside |= _pattern[i] <= c && c <= _pattern[i + 2];
                i += 2;
            }
            else
            {
                inside |= _pattern[i] == c;
            }
        }

        return inside != negated;
    }

    /// <summary>
    /// Where the set that opens at <paramref name="open"/> closes; a closing bracket right after the opening one is a
    /// member.
    /// </summary>
    private int Close(int open)
    {
        int first = open + 1;
        if (first < _pattern.Length && _pattern[first] is '!' or '^') first++;
        return first + 1 <= _pattern.Length ? _pattern.IndexOf(']', Math.Min(first + 1, _pattern.Length)) : -1;
    }
}
