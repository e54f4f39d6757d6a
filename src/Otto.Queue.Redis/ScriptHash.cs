using System.Buffers.Binary;
using System.Numerics;
using System.Text;

namespace Otto.Queue.Redis;

// SHA-1, by which a server names scripts. It protects nothing here, and .NET's own would load OpenSSL, which a connection without TLS
// does not need.

internal static class ScriptHash
{
    private const int BlockBytes = 64;

    /// <summary>The SHA-1 of a script, as <c>EVALSHA</c> takes it: 40 hexadecimal digits in lower case.</summary>
    internal static string Of(string script)
    {
        // FIPS 180-4, 5.1.1: a one bit, zeros, and the length in bits, so that whole blocks result.
        int length = Encoding.UTF8.GetByteCount(script);
        byte[] padded = new byte[(length + 9 + BlockBytes - 1) / BlockBytes * BlockBytes];
        Encoding.UTF8.GetBytes(script, padded);
        padded[length] = 0x80;
        BinaryPrimitives.WriteInt64BigEndian(padded.AsSpan(padded.Length - 8), length * 8L);

        Span<uint> hash = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0];
        for (int at = 0; at < padded.Length; at += BlockBytes) Add(padded.AsSpan(at, BlockBytes), hash);
        Span<byte> bytes = stackalloc byte[20];
        for (int i = 0; i < hash.Length; i++) BinaryPrimitives.WriteUInt32BigEndian(bytes[(4 * i)..], hash[i]);
        return Convert.ToHexStringLower(bytes);
    }

    // FIPS 180-4, 6.1.2.
    private static void Add(ReadOnlySpan<byte> block, Span<uint> hash)
    {
        Span<uint> words = stackalloc uint[80];
        for (int i = 0; i < 16; i++) words[i] = BinaryPrimitives.ReadUInt32BigEndian(block[(4 * i)..]);
        for (int i = 16; i < 80; i++) words[i] = BitOperations.RotateLeft(words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
        (uint a, uint b, uint c, uint d, uint e) = (hash[0], hash[1], hash[2], hash[3], hash[4]);
        for (int i = 0; i < 80; i++)
        {
            uint f = i switch
            {
                < 20 => ((b & c) | (~b & d)) + 0x5A827999,
                < 40 => (b ^ c ^ d) + 0x6ED9EBA1,
                < 60 => ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDC,
                _ => (b ^ c ^ d) + 0xCA62C1D6,
            };
            (a, b, c, d, e) = (BitOperations.RotateLeft(a, 5) + f + e + words[i], a, BitOperations.RotateLeft(b, 30), c, d);
        }

        hash[0] += a;
        hash[1] += b;
        hash[2] += c;
        hash[3] += d;
        hash[4] += e;
    }
}
