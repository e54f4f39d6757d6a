using System.Buffers.Binary;

namespace Otto.Ipc.Uds.Streams;

// A stream on its socket: frames from the sender, and from the receiver how many bytes it has read.
//
//  sender     0        4        8
//             +--------+--------+------- - -
//             | length | type   | message            little-endian; length is the message's
//             +--------+--------+------- - -
//  receiver   0        8
//             +--------+
//             | read   |   bytes of whole frames that were read on this connection, all together
//             +--------+

/// <summary>What a frame is.</summary>
internal enum FrameType
{
    /// <summary>A message.</summary>
    Message = 0,

    /// <summary>A sender begins; it has no bytes.</summary>
    Open = 1,

    /// <summary>No more will come from this sender; it has no bytes.</summary>
    Complete = 2,
}

/// <summary>Sizes of a stream's frames.</summary>
internal static class StreamWire
{
    public const int HeaderBytes = 8, ReceiptBytes = 8;

    /// <summary>The largest message that any sender may send.</summary>
    public const int MostMessageBytes = UdsStreamOptions.MostCapacity / 2;

    public static int MaxMessage(int capacity) => capacity / 2 - HeaderBytes;

    public static void WriteHeader(Span<byte> at, FrameType type, int length)
    {
        BinaryPrimitives.WriteInt32LittleEndian(at, length);
        BinaryPrimitives.WriteInt32LittleEndian(at[4..], (int)type);
    }

    /// <summary>Reads a header.</summary>
    /// <returns><see langword="true"/> if the bytes can be a header; otherwise, <see langword="false"/>.</returns>
    public static bool TryReadHeader(ReadOnlySpan<byte> at, out FrameType type, out int length)
    {
        length = BinaryPrimitives.ReadInt32LittleEndian(at);
        type = (FrameType)BinaryPrimitives.ReadInt32LittleEndian(at[4..]);
        return type == FrameType.Message ? (uint)length <= MostMessageBytes : type is FrameType.Open or FrameType.Complete && length == 0;
    }
}
