using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace Otto.Ipc.Uds.Store;

// Keys are looked up as bytes, without making text or arrays of them.

/// <summary>
/// Compares keys by their bytes, and finds them by a span. The hash is seeded, so that a client cannot prepare keys
/// that all collide.
/// </summary>
internal sealed class Utf8Keys : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
{
    public static readonly Utf8Keys Comparer = new();

    private const ulong Multiplier = 0x9E3779B97F4A7C15;
    private readonly ulong _seed = (ulong)Random.Shared.NextInt64() | 1;

    public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

    public int GetHashCode([DisallowNull] byte[] obj) => GetHashCode(obj.AsSpan());

    public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

    public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();

    public int GetHashCode(ReadOnlySpan<byte> key)
    {
        ulong hash = _seed ^ ((ulong)key.Length * Multiplier);
        while (key.Length >= 8)
        {
            hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(key));
            key = key[8..];
        }

        ulong rest = 0;
        foreach (byte b in key) rest = rest << 8 | b;
        hash = Mix(hash ^ rest);
        return (int)(hash ^ hash >> 32);
    }

    private static ulong Mix(ulong value)
    {
        ulong high = Math.BigMul(value, Multiplier, out ulong low);
        return BitOperations.RotateLeft(high ^ low, 23);
    }
}
