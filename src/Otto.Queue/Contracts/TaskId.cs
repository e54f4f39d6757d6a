using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace Otto.Queue;

// 128 bits that never repeat, made without a system call a task: a random half a queue instance and a counting half.

/// <summary>Identifies one task, forever.</summary>
/// <param name="High">The producer: random, drawn once for each <see cref="TaskQueue"/>.</param>
/// <param name="Low">The producer's count.</param>
public readonly record struct TaskId(ulong High, ulong Low) : ISpanFormattable
{
    /// <summary>How many bytes an id has on the wire: big-endian, high half first.</summary>
    public const int Size = 16;

    /// <summary>Draws the half that distinguishes this producer from every other.</summary>
    internal static ulong NewProducer()
    {
        // Bits that each version 4 GUID has in common are at other places in its halves: their XOR is random throughout.
        Span<byte> bytes = stackalloc byte[16];
        Guid.NewGuid().TryWriteBytes(bytes);
        return BinaryPrimitives.ReadUInt64LittleEndian(bytes) ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
    }

    /// <summary>The id as the label that a queue finds its message by.</summary>
    internal UInt128 Label => new(High, Low);

    /// <summary>Writes the id's 16 bytes.</summary>
    /// <param name="destination">At least <see cref="Size"/> bytes.</param>
    public void WriteTo(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt64BigEndian(destination, High);
        BinaryPrimitives.WriteUInt64BigEndian(destination[8..], Low);
    }

    /// <summary>Reads an id from its 16 bytes.</summary>
    /// <param name="source">At least <see cref="Size"/> bytes.</param>
    /// <returns>The id.</returns>
    public static TaskId ReadFrom(ReadOnlySpan<byte> source)
        => new(BinaryPrimitives.ReadUInt64BigEndian(source), BinaryPrimitives.ReadUInt64BigEndian(source[8..]));

    /// <summary>Reads an id from the text that <see cref="ToString()"/> makes.</summary>
    /// <param name="text">32 hexadecimal digits.</param>
    /// <param name="id">The id, or <see langword="default"/>.</param>
    /// <returns><see langword="false"/> if the text is no id.</returns>
    public static bool TryParse([NotNullWhen(true)] string? text, out TaskId id)
    {
        id = default;
        if (text is not { Length: 32 }
            || !ulong.TryParse(text.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong high)
            || !ulong.TryParse(text.AsSpan(16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out ulong low))
            return false;
        id = new TaskId(high, low);
        return true;
    }

    /// <summary>The id as 32 lower-case hexadecimal digits.</summary>
    /// <returns>The text.</returns>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{High:x16}{Low:x16}");

    /// <inheritdoc/>
    public string ToString(string? format, IFormatProvider? formatProvider) => ToString();

    /// <inheritdoc/>
    public bool TryFormat(Span<char> destination, out int charsWritten, ReadOnlySpan<char> format, IFormatProvider? provider)
        => destination.TryWrite(CultureInfo.InvariantCulture, $"{High:x16}{Low:x16}", out charsWritten);
}
