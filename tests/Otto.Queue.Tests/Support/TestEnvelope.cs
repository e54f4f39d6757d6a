using System.Text;

namespace Otto.Queue.Tests.Support;

// An envelope put together field by field, as another program would.

internal sealed record TestEnvelope
{
    internal required string Name { get; init; }

    internal required string Payload { get; init; }

    internal int AttemptsBefore { get; init; }

    internal byte Format { get; init; } = 1;

    internal byte[] ToArray()
    {
        using MemoryStream bytes = new();
        using BinaryWriter writer = new(bytes);
        writer.Write((byte)'O');
        writer.Write((byte)1);
        writer.Write((ushort)0);
        writer.Write((ushort)(48 + Name.Length));
        writer.Write((byte)Name.Length);
        writer.Write((byte)0);
        writer.Write(new byte[16]);
        writer.Write(0L);
        writer.Write(0L);
        writer.Write((ushort)AttemptsBefore);
        writer.Write(Format);
        writer.Write((byte)0);
        writer.Write((uint)Payload.Length);
        writer.Write(Encoding.UTF8.GetBytes(Name));
        writer.Write(Encoding.UTF8.GetBytes(Payload));
        return bytes.ToArray();
    }
}
