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
        for (int i = 1; i < message.Length - 1; i++) message[i] = LetterAt(i);
        message[0] = message[^1] = (byte)'"';
        SetNumber(message, 0);
    }

    /// <summary>Whether each byte is as <see cref="Fill"/> wrote it, the number aside.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> message)
    {
        if (message.Length < LeastBytes || message[0] != '"' || message[^1] != '"') return false;
        for (int i = 9; i < message.Length - 1; i++)
        {
            if (message[i] != LetterAt(i)) return false;
        }

        return true;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void SetNumber(Span<byte> message, uint number) =>
        BinaryPrimitives.WriteUInt64LittleEndian(message.Slice(1, 8), Spread(number) | Zeros);

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static uint NumberOf(ReadOnlySpan<byte> message) => Gather(BinaryPrimitives.ReadUInt64LittleEndian(message.Slice(1, 8)) & Nibbles);

    // A letter that tells its place, so that bytes that moved are noticed.
    private static byte LetterAt(int index) => (byte)('a' + (index ^ (index >> 7) ^ (index >> 15)) % 26);

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
