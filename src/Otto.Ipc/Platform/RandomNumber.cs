using System.Buffers.Binary;
using System.Globalization;

namespace Otto.Ipc.Platform;

// Random numbers for names and identities, out of Guid.NewGuid. RandomNumberGenerator loads OpenSSL, and ends the process where that is
// missing.

internal static class RandomNumber
{
    /// <summary>A number of at least <paramref name="least"/> and less than <paramref name="limit"/>.</summary>
    public static int Between(int least, int limit)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(limit, least);
        return (int)(least + (long)(NextWord() % (ulong)((long)limit - least)));
    }

    /// <summary>Hexadecimal digits in lower case.</summary>
    /// <param name="digits">How many; 1 to 16.</param>
    public static string Hex(int digits) => NextWord().ToString("x16", CultureInfo.InvariantCulture)[..digits];

    /// <summary>
    /// 64 random bits: six bits of a Guid are fixed, so its halves are laid over each other with those at different
    /// places.
    /// </summary>
    private static ulong NextWord()
    {
        Span<byte> bytes = stackalloc byte[16];
        Guid.NewGuid().TryWriteBytes(bytes);
        ulong low = BinaryPrimitives.ReadUInt64LittleEndian(bytes), high = BinaryPrimitives.ReadUInt64LittleEndian(bytes[8..]);
        return low ^ ulong.RotateLeft(high, 24);
    }
}
