using System.Buffers;
using System.Text.Json;

namespace Otto.Ipc.Uds.Protocol;

// What HELLO answers: who this is, and its bounds, so that a client can refuse by itself what the server would.

internal static class HelloReply
{
    /// <summary>One line of JSON.</summary>
    public static byte[] Of(ProtocolLimits limits)
    {
        var json = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(json))
        {
            writer.WriteStartObject();
            writer.WriteString("name"u8, "otto"u8);
            writer.WriteString("version"u8, typeof(HelloReply).Assembly.GetName().Version!.ToString(3));
            writer.WriteNumber("protocol"u8, 1);
            writer.WriteStartObject("limits"u8);
            writer.WriteNumber("keyBytes"u8, StoreKey.MaxBytes);
            writer.WriteNumber("valueBytes"u8, limits.ValueBytes);
            writer.WriteNumber("totalBytes"u8, limits.TotalBytes);
            writer.WriteNumber("connections"u8, limits.Connections);
            writer.WriteNumber("pipelineDepth"u8, limits.PipelineDepth);
            writer.WriteNumber("unreadBytes"u8, limits.UnreadBytes);
            writer.WriteNumber("patterns"u8, limits.Patterns);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return json.WrittenSpan.ToArray();
    }
}
