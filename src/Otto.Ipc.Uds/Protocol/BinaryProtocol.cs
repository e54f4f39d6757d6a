using System.Buffers.Binary;
using System.Text;
using Otto.Ipc.Uds.PubSub;
using Otto.Ipc.Uds.Server;
using Otto.Ipc.Uds.Store;

namespace Otto.Ipc.Uds.Protocol;

// The binary dialect: a frame in, a frame out, values as bytes.

/// <summary>Runs the frames of binary clients.</summary>
internal sealed class BinaryProtocol(ServerLoop server, Broker broker)
{
    private readonly int _longestFrame = server.Options.MaxValueBytes + Wire.CommandBytes;

    /// <summary>Runs every command that has come whole.</summary>
    /// <returns>How many bytes were used.</returns>
    public int Run(Connection connection, ReadOnlySpan<byte> data)
    {
        int used = 0;
        while (connection.TakesCommands)
        {
            if (connection.Skipping > 0)
            {
                int skipped = (int)Math.Min(connection.Skipping, data.Length - used);
                connection.Skipping -= skipped;
                used += skipped;
            }

            ReadOnlySpan<byte> rest = data[used..];
            if (rest.Length < Wire.LengthBytes || connection.Skipping > 0) return used;
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(rest);
            if (length >= Wire.LengthLimit)
            {
                // Not a length that anyone sends: whoever wrote it is somewhere else in its own stream, and nobody can say where.
                Refuse(connection, ErrorCode.TooBig, $"a frame of {length:N0} bytes; frames have less than {Wire.LengthLimit:N0}, so the next one cannot be found");
                connection.IsClosing = true;
                return data.Length;
            }

            if (length > _longestFrame)
            {
                Refuse(connection, ErrorCode.TooBig, $"a frame of {length:N0} bytes; a value has at most {server.Options.MaxValueBytes:N0}");
                used += Wire.LengthBytes;
                connection.Skipping = length;
                continue;
            }

            if (rest.Length < Wire.LengthBytes + (int)length) return used;
            used += Wire.LengthBytes + (int)length;
            RunFrame(connection, rest.Slice(Wire.LengthBytes, (int)length));
        }

        return used;
    }

    /// <summary>Where the frame that is half here ends: how much of it is still to come.</summary>
    public static long Missing(ReadOnlySpan<byte> kept) =>
        kept.Length < Wire.LengthBytes ? 0 : Wire.LengthBytes + BinaryPrimitives.ReadUInt32LittleEndian(kept) - kept.Length;

    public static void Refuse(Connection connection, string code, string words) => Answer(connection, WireStatus.Error, Encoding.UTF8.GetBytes($"{code} {words}"));

    private static void Answer(Connection connection, WireStatus status, ReadOnlySpan<byte> payload)
    {
        Begin(connection.Output, status, payload.Length);
        connection.Output.Append(payload);
        End(connection);
    }

    private static void Begin(Output output, WireStatus status, int payloadBytes)
    {
        Span<byte> header = output.Reserve(Wire.HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(header, 1 + payloadBytes);
        header[4] = (byte)status;
        output.Advance(Wire.HeaderBytes);
    }

    private static void End(Connection connection)
    {
        connection.Output.EndAnswer();
        connection.WasAnswered = true;
    }

    private void RunFrame(Connection connection, ReadOnlySpan<byte> frame)
    {
        connection.Work++;
        if (connection.Output.Answers >= server.Options.MaxPipelineDepth)
        {
            Refuse(connection, ErrorCode.Busy, $"{connection.Output.Answers:N0} answers wait to be read, the most there may be; this command was not run");
            return;
        }

        if (frame.IsEmpty)
        {
            Refuse(connection, ErrorCode.BadCommand, "a frame without a command");
            return;
        }

        ReadOnlySpan<byte> payload = frame[1..];
        switch ((WireCommand)frame[0])
        {
            case WireCommand.Get:
                Get(connection, payload);
                break;
            case WireCommand.Set:
                Set(connection, payload);
                break;
            case WireCommand.Delete:
                if (IsKey(connection, payload)) Answer(connection, broker.Delete(payload) ? WireStatus.Ok : WireStatus.NotFound, default);
                break;
            case WireCommand.Exists:
                if (IsKey(connection, payload)) Answer(connection, broker.Keys.TryGet(payload, out _) ? WireStatus.Ok : WireStatus.NotFound, default);
                break;
            case WireCommand.List:
                List(connection, payload);
                break;
            case WireCommand.Subscribe:
                Subscribe(connection, payload, Interests.Keys | Interests.Messages);
                break;
            case WireCommand.Watch:
                Watch(connection, payload);
                break;
            case WireCommand.Unsubscribe:
                if (!TryPattern(connection, payload, out KeyPattern? pattern)) break;
                broker.Unsubscribe(connection, pattern!.ToString());
                Answer(connection, WireStatus.Ok, default);
                break;
            case WireCommand.Publish:
                Publish(connection, payload);
                break;
            case WireCommand.Progress:
                Progress(connection, payload);
                break;
            case WireCommand.Ping:
                Answer(connection, WireStatus.Ok, default);
                break;
            case WireCommand.Hello:
                Answer(connection, WireStatus.Ok, server.Hello);
                break;
            case WireCommand.Quit:
                Answer(connection, WireStatus.Ok, default);
                connection.IsClosing = true;
                break;
            default:
                Refuse(connection, ErrorCode.BadCommand, $"no command {frame[0]:X2}; the commands are 01 to 0D");
                break;
        }
    }

    private void Get(Connection connection, ReadOnlySpan<byte> key)
    {
        if (broker.Keys.TryGet(key, out Entry? entry))
        {
            byte[] value = entry.Value.Bytes;
            if (!connection.Output.HasRoomFor(value.Length))
            {
                Refuse(connection, ErrorCode.Busy, BusyReason.Value(value.Length));
                return;
            }

            Begin(connection.Output, WireStatus.Ok, value.Length);
            connection.Output.AppendValue(value);
            End(connection);
        }
        else if (IsKey(connection, key))
        {
            Answer(connection, WireStatus.NotFound, default);
        }
    }

    private void Set(Connection connection, ReadOnlySpan<byte> payload)
    {
        if (!TryName(connection, payload, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value) || !IsKey(connection, key) || !Fits(connection, value)) return;
        if (broker.Set(key, Value.FromBytes(value)) is { } problem) Refuse(connection, ErrorCode.TooBig, problem);
        else Answer(connection, WireStatus.Ok, default);
    }

    private void Publish(Connection connection, ReadOnlySpan<byte> payload)
    {
        if (!TryName(connection, payload, out ReadOnlySpan<byte> topic, out ReadOnlySpan<byte> message) || !IsKey(connection, topic) || !Fits(connection, message)) return;
        broker.Publish(topic, Value.FromBytes(message));
        Answer(connection, WireStatus.Ok, default);
    }

    private void Progress(Connection connection, ReadOnlySpan<byte> payload)
    {
        if (!TryName(connection, payload, out ReadOnlySpan<byte> task, out ReadOnlySpan<byte> arguments)) return;
        if (broker.Progress(task, arguments, out string problem) is { } code) Refuse(connection, code, problem);
        else Answer(connection, WireStatus.Ok, default);
    }

    private void List(Connection connection, ReadOnlySpan<byte> glob)
    {
        if (!TryPattern(connection, glob.IsEmpty ? "*"u8 : glob, out KeyPattern? pattern)) return;
        byte[][] keys = broker.Keys.Keys(pattern!);
        connection.Work += broker.Keys.Count;
        long bytes = keys.Sum(key => key.Length + 2L);
        if (bytes > int.MaxValue / 2 || !server.Budget.HasRoomFor(bytes))
        {
            Refuse(connection, ErrorCode.Busy, BusyReason.Keys(keys.Length));
            return;
        }

        Begin(connection.Output, WireStatus.Ok, (int)bytes);
        KeyList.WriteBinary(connection.Output, keys);
        End(connection);
    }

    private void Watch(Connection connection, ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 2 || payload[0] is < (byte)Interests.Keys or > (byte)(Interests.Snapshot | Interests.Keys | Interests.Messages))
            Refuse(connection, ErrorCode.BadCommand, "WATCH needs flags of 2 to 7, and a pattern");
        else
            Subscribe(connection, payload[1..], (Interests)payload[0]);
    }

    private void Subscribe(Connection connection, ReadOnlySpan<byte> glob, Interests interests)
    {
        if (!TryPattern(connection, glob, out KeyPattern? pattern)) return;
        if (broker.Subscribe(connection, pattern!, interests, out string problem) is { } code) Refuse(connection, code, problem);
        else Answer(connection, WireStatus.Ok, default);
    }

    private static bool TryName(Connection connection, ReadOnlySpan<byte> payload, out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> rest)
    {
        name = rest = default;
        int length = payload.Length < 2 ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(payload);
        if (payload.Length < 2 + length || payload.Length < 2)
        {
            Refuse(connection, ErrorCode.BadCommand, $"a payload of {payload.Length:N0} bytes cannot hold a name of {length:N0} with its length");
            return false;
        }

        name = payload.Slice(2, length);
        rest = payload[(2 + length)..];
        return true;
    }

    private static bool IsKey(Connection connection, ReadOnlySpan<byte> key)
    {
        if (WireKey.Describe(key) is not { } problem) return true;
        Refuse(connection, ErrorCode.BadKey, problem);
        return false;
    }

    private bool Fits(Connection connection, ReadOnlySpan<byte> value)
    {
        if (value.Length <= server.Options.MaxValueBytes) return true;
        Refuse(connection, ErrorCode.TooBig, $"value of {value.Length:N0} bytes exceeds the limit of {server.Options.MaxValueBytes:N0}");
        return false;
    }

    private static bool TryPattern(Connection connection, ReadOnlySpan<byte> glob, out KeyPattern? pattern)
    {
        pattern = KeyList.Pattern(glob, out string problem);
        if (pattern is null) Refuse(connection, ErrorCode.BadKey, problem);
        return pattern is not null;
    }
}
