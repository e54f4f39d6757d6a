using System.Buffers.Binary;
using System.Buffers.Text;
using Otto.Ipc.Uds.PubSub;
using Otto.Ipc.Uds.Server;
using Otto.Ipc.Uds.Store;

namespace Otto.Ipc.Uds.Protocol;

// News on the wire, in the subscriber's dialect.

internal static class Events
{
    private const int LongestNumber = 20;

    public static void Write(Output output, Dialect dialect, EventKind kind, byte[] name, Value? value, long sequence)
    {
        if (dialect == Dialect.Binary) WriteBinary(output, kind, name, value is null ? [] : value.Bytes, sequence);
        else WriteText(output, kind, name, value, sequence);
    }

    public static void WriteLost(Output output, Dialect dialect, long count, long sequence)
    {
        if (dialect == Dialect.Binary)
        {
            byte[] number = new byte[sizeof(long)];
            BinaryPrimitives.WriteInt64LittleEndian(number, count);
            WriteBinary(output, EventKind.Lost, [], number, sequence);
            return;
        }

        Span<byte> line = output.Reserve(64);
        int at = Prefix(line, sequence, "LOST "u8);
        Utf8Formatter.TryFormat(count, line[at..], out int written);
        at += written;
        line[at++] = (byte)'\n';
        output.Advance(at);
    }

    private static void WriteText(Output output, EventKind kind, byte[] name, Value? value, long sequence)
    {
        Span<byte> line = output.Reserve(6 + LongestNumber + 10 + name.Length + 2);
        int at = Prefix(line, sequence, kind switch { EventKind.Set => "SET "u8, EventKind.Delete => "DELETE "u8, _ => "MESSAGE "u8 });
        name.CopyTo(line[at..]);
        at += name.Length;
        line[at++] = kind == EventKind.Delete ? (byte)'\n' : (byte)' ';
        output.Advance(at);
        if (kind == EventKind.Delete) return;
        output.AppendValue(value!.Text);
        output.Append("\n"u8);
    }

    private static int Prefix(Span<byte> line, long sequence, ReadOnlySpan<byte> kind)
    {
        "EVENT "u8.CopyTo(line);
        Utf8Formatter.TryFormat(sequence, line[6..], out int written);
        int at = 6 + written;
        line[at++] = (byte)' ';
        kind.CopyTo(line[at..]);
        return at + kind.Length;
    }

    private static void WriteBinary(Output output, EventKind kind, byte[] name, byte[] value, long sequence)
    {
        Span<byte> frame = output.Reserve(Wire.EventBytes + name.Length);
        BinaryPrimitives.WriteInt32LittleEndian(frame, Wire.EventBytes - Wire.LengthBytes + name.Length + value.Length);
        frame[4] = (byte)WireStatus.Event;
        BinaryPrimitives.WriteInt64LittleEndian(frame[5..], sequence);
        frame[13] = (byte)kind;
        BinaryPrimitives.WriteUInt16LittleEndian(frame[14..], (ushort)name.Length);
        name.CopyTo(frame[16..]);
        output.Advance(Wire.EventBytes + name.Length);
        output.AppendValue(value);
    }
}
