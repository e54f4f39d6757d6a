using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace Otto.Ipc.Benchmarks.Matrix.Subjects;

// What the harness sends: a JSON string, so that a transport of text carries it as it is, with a number in it that the other side checks.
//
//  0   1          9                      n-1
//  +---+----------+----------------------+---+
//  | " | number   | letters              | " |
//  +---+----------+----------------------+---+
//  The number's 32 bits are eight characters of four bits each, '0' to '?': cheap to write, and never a quote, a backslash or a line feed.

internal static class Message
{
    /// <summary>The last of a run.</summary>
    public const uint Last = uint.MaxValue;

    public const int LeastBytes = 11;
    private const int NumberEnd = 9, Block = 1 << 10;
    private const uint Mixer = 0x9E37_79B1;
    private static readonly byte[] Letters = [.. Enumerable.Range(0, Block + 26).Select(static i => (byte)('a' + i % 26))];
    private const ulong Nibbles = 0x0F0F_0F0F_0F0F_0F0F, Zeros = 0x3030_3030_3030_3030;

    public static byte[] Create(int bytes)
    {
        byte[] message = new byte[bytes];
        Fill(message);
        return message;
    }

    /// <summary>Writes all of a message but its number.</summary>
    public static void Fill(Span<byte> message)
    {
        if (message.Length < LeastBytes) return;
        for (int start = 0; start < message.Length; start += Block)
            LettersOf(start, message[start..Math.Min(start + Block, message.Length)]);
        message[0] = message[^1] = (byte)'"';
        SetNumber(message, 0);
    }

    /// <summary>Whether each byte is as <see cref="Fill"/> wrote it, the number aside.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> message)
    {
        if (message.Length < LeastBytes || message[0] != '"' || message[^1] != '"') return false;
        Span<byte> expected = stackalloc byte[Block];
        for (int start = 0; start < message.Length; start += Block)
        {
            int end = Math.Min(start + Block, message.Length - 1), first = Math.Max(start, NumberEnd);
            if (first >= end) continue;
            LettersOf(start, expected);
            if (!message[first..end].SequenceEqual(expected[(first - start)..(end - start)])) return false;
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetNumber(Span<byte> message, uint number) =>
        BinaryPrimitives.WriteUInt64LittleEndian(message.Slice(1, 8), Spread(number) | Zeros);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint NumberOf(ReadOnlySpan<byte> message) =>
    Gather(BinaryPrimitives.ReadUInt64LittleEndian(message.Slice(1, 8)) & Nibbles);

    // Letters that tell their place, so that bytes that moved are noticed: an alphabet that starts elsewhere in each block. Copied and not
    // computed, for a message of a gibibyte is filled and checked too.
    private static void LettersOf(int start, Span<byte> block)
    {
        int turn = (int)(((uint)start / Block * Mixer >> 16) % 26);
        Letters.AsSpan(turn, block.Length).CopyTo(block);
    }

    private static ulong Spread(uint number)
    {
        if (Bmi2.X64.IsSupported) return Bmi2.X64.ParallelBitDeposit(number, Nibbles);
        ulong bits = number;
        bits = (bits | bits << 16) & 0x0000_FFFF_0000_FFFF;
        bits = (bits | bits << 8) & 0x00FF_00FF_00FF_00FF;
        return (bits | bits << 4) & Nibbles;
    }

    private static uint Gather(ulong nibbles)
    {
        if (Bmi2.X64.IsSupported) return (uint)Bmi2.X64.ParallelBitExtract(nibbles, Nibbles);
        nibbles = (nibbles | nibbles >> 4) & 0x00FF_00FF_00FF_00FF;
        nibbles = (nibbles | nibbles >> 8) & 0x0000_FFFF_0000_FFFF;
        return (uint)(nibbles | nibbles >> 16);
    }
}
