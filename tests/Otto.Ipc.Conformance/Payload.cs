using System.Buffers.Binary;
using System.Numerics;

namespace Otto.Ipc.Conformance;

// A message that says who sent it and whether it is whole, so that a checker can account for each and see a torn one.
//
//  00       04    08       0C
//  +--------+-----+--------+------- - -
//  | sender | seq | crc32c | filler, told from sender and seq
//  +--------+-----+--------+------- - -

/// <summary>Makes and checks messages.</summary>
public static class Payload
{
    public const int HeaderBytes = 12;

    public static byte[] Make(int sender, int sequence, int bytes)
    {
        byte[] message = new byte[Math.Max(bytes, HeaderBytes)];
        Fill(message, sender, sequence);
        return message;
    }

    public static void Fill(Span<byte> message, int sender, int sequence)
    {
        BinaryPrimitives.WriteInt32LittleEndian(message, sender);
        BinaryPrimitives.WriteInt32LittleEndian(message[4..], sequence);
        for (int i = HeaderBytes; i < message.Length; i++) message[i] = (byte)(sender * 31 + sequence * 7 + i);
        BinaryPrimitives.WriteUInt32LittleEndian(message[8..], Checksum(message));
    }

    /// <summary>Takes a message apart.</summary>
    /// <returns><see langword="false"/> where it is torn.</returns>
    public static bool TryRead(ReadOnlySpan<byte> message, out int sender, out int sequence)
    {
        sender = sequence = -1;
        if (message.Length < HeaderBytes) return false;
        sender = BinaryPrimitives.ReadInt32LittleEndian(message);
        sequence = BinaryPrimitives.ReadInt32LittleEndian(message[4..]);
        return BinaryPrimitives.ReadUInt32LittleEndian(message[8..]) == Checksum(message);
    }

    private static uint Checksum(ReadOnlySpan<byte> message)
    {
        uint crc = 0xFFFFFFFF;
        for (int i = 0; i < message.Length; i++)
        {
            if (i is < 8 or >= HeaderBytes) crc = BitOperations.Crc32C(crc, message[i]);
        }

        return BitOperations.Crc32C(~crc, (uint)message.Length);
    }
}
