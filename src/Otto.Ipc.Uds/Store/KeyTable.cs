using System.Diagnostics.CodeAnalysis;
using System.Text;
using Otto.Ipc.Uds.Protocol;

namespace Otto.Ipc.Uds.Store;

// The store itself. One thread owns it, so a snapshot is a loop and a change is a number; nothing here locks.

/// <summary>A key with its value, for as long as the key is there.</summary>
internal sealed class Entry(byte[] key, Value value)
{
    public byte[] Key { get; } = key;

    public Value Value { get; set; } = value;

    /// <summary>The number of the change that set it.</summary>
    public long Sequence { get; set; }

    /// <summary>Whether subscribers are still to be notified of the present value, which
    /// came too soon after the one before.</summary>
    public bool IsHeldBack { get; set; }

    /// <summary>When subscribers were last notified of progress, as a time stamp.</summary>
    public long NotifiedAt { get; set; }
}

/// <summary>All keys and values, and how many bytes they take.</summary>
internal sealed class KeyTable
{
    /// <summary>What a key costs besides its bytes and its value's.</summary>
    public const int EntryBytes = 128;

    private readonly long _maxTotalBytes;
    private readonly Dictionary<byte[], Entry> _entries = new(Utf8Keys.Comparer);
    private readonly Dictionary<byte[], Entry>.AlternateLookup<ReadOnlySpan<byte>> _lookup;

    public KeyTable(long maxTotalBytes)
    {
        _maxTotalBytes = maxTotalBytes;
        _lookup = _entries.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    public int Count => _entries.Count;

    public long TotalBytes { get; private set; }

    public bool TryGet(ReadOnlySpan<byte> key, [MaybeNullWhen(false)] out Entry entry) => _lookup.TryGetValue(key, out entry);

    /// <summary>Sets a value.</summary>
    /// <param name="key">A key that was checked.</param>
    /// <param name="value">Its value.</param>
    /// <param name="problem">Why there is no room.</param>
    /// <returns><see langword="null"/> if there is no room. The old value is then kept.</returns>
    public Entry? Set(ReadOnlySpan<byte> key, Value value, out string? problem)
    {
        problem = null;
        _lookup.TryGetValue(key, out Entry? entry);
        long more = value.HeldBytes - (entry is null ? -EntryBytes - key.Length : entry.Value.HeldBytes);
        if (more > 0 && TotalBytes + more > _maxTotalBytes)
        {
            problem = $"{value.HeldBytes:N0} bytes more than fit: {TotalBytes:N0} of {_maxTotalBytes:N0} are taken by {Count:N0} keys; "
                + $"delete some";
            return null;
        }

        TotalBytes += more;
        if (entry is null)
        {
            entry = new Entry(key.ToArray(), value);
            _entries.Add(entry.Key, entry);
        }
        else
        {
            entry.Value = value;
        }

        return entry;
    }

    public bool Remove(ReadOnlySpan<byte> key, [MaybeNullWhen(false)] out Entry entry)
    {
        if (!_lookup.Remove(key, out _, out entry)) return false;
        TotalBytes -= EntryBytes + entry.Key.Length + entry.Value.HeldBytes;
        return true;
    }

    /// <summary>Every entry that matches, in no order.</summary>
    public IEnumerable<Entry> Matching(KeyPattern pattern)
    {
        if (pattern.MatchesAll) return _entries.Values;
        if (pattern.Literal is { } literal) return TryGet(Encoding.UTF8.GetBytes(literal), out Entry? only) ? [only] : [];
        return _entries.Values.Where(entry => Matches(pattern, entry.Key));
    }

    public static bool Matches(KeyPattern pattern, ReadOnlySpan<byte> key)
    {
        Span<char> text = stackalloc char[WireKey.MaxBytes];
        return Encoding.UTF8.TryGetChars(key, text, out int length) && pattern.Matches(text[..length]);
    }

    /// <summary>The keys that match, in the order of their bytes.</summary>
    public byte[][] Keys(KeyPattern pattern)
    {
        byte[][] keys = [.. Matching(pattern).Select(entry => entry.Key)];
        Array.Sort(keys, static (a, b) => a.AsSpan().SequenceCompareTo(b));
        return keys;
    }
}
