using System.Buffers;
using System.Text.Json;

namespace Otto.Ipc.Uds.Protocol;

// What HELLO answers: who this is, and its bounds, so that a client can refuse by itself what the server would.

internal static class HelloReply
{
    /// <summary>One line of JSON.</summary>
    public static byte[] Of(UdsServerOptions options)
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
            writer.WriteNumber("valueBytes"u8, options.MaxValueBytes);
            writer.WriteNumber("totalBytes"u8, options.MaxTotalBytes);
            writer.WriteNumber("connections"u8, options.MaxConnections);
            writer.WriteNumber("pipelineDepth"u8, options.MaxPipelineDepth);
            writer.WriteNumber("unreadBytes"u8, options.MaxUnreadBytes);
            writer.WriteNumber("patterns"u8, options.MaxPatterns);
            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return json.WrittenSpan.ToArray();
    }
}
