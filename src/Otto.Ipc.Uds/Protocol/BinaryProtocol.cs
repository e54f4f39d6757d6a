using System.Buffers.Binary;
using System.Text;

namespace Otto.Ipc.Uds.Protocol;

// The binary dialect: a frame in, a frame out, values as bytes.

/// <summary>Runs the frames of binary clients.</summary>
internal sealed class BinaryProtocol(ProtocolLimits limits, ICommandHandler commands)
{
    private readonly int _longestFrame = limits.ValueBytes + Wire.CommandBytes;
    private readonly byte[] _hello = HelloReply.Of(limits);

    /// <summary>Runs every command that has arrived completely.</summary>
    /// <returns>How many bytes were used.</returns>
    public int Run(ProtocolSession session, ReadOnlySpan<byte> data)
    {
        int used = 0;
        while (session.TakesCommands)
        {
            if (session.Skipping > 0)
            {
                int skipped = (int)Math.Min(session.Skipping, data.Length - used);
                session.Skipping -= skipped;
                used += skipped;
            }

            ReadOnlySpan<byte> rest = data[used..];
            if (rest.Length < Wire.LengthBytes || session.Skipping > 0) return used;
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(rest);
            if (length >= Wire.LengthLimit)
            {
                // Not a length that anyone sends: whoever wrote it is somewhere else in its own stream, and nobody can say where.
                Refuse(session, ErrorCode.TooBig,
                    $"a frame of {length:N0} bytes; frames have less than {Wire.LengthLimit:N0}, so the next one cannot be found");
                session.IsClosing = true;
                return data.Length;
            }

            if (length > _longestFrame)
            {
                Refuse(session, ErrorCode.TooBig, $"a frame of {length:N0} bytes; a value has at most {limits.ValueBytes:N0}");
                used += Wire.LengthBytes;
                session.Skipping = length;
                continue;
            }

            if (rest.Length < Wire.LengthBytes + (int)length) return used;
            used += Wire.LengthBytes + (int)length;
            RunFrame(session, rest.Slice(Wire.LengthBytes, (int)length));
        }

        return used;
    }

    /// <summary>Where the frame that is half here ends: how much of it is still to come.</summary>
    public static long Missing(ReadOnlySpan<byte> kept) =>
        kept.Length < Wire.LengthBytes ? 0 : Wire.LengthBytes + BinaryPrimitives.ReadUInt32LittleEndian(kept) - kept.Length;

    public static void Refuse(ProtocolSession session, string code, string words) =>
        Answer(session, WireStatus.Error, Encoding.UTF8.GetBytes($"{code} {words}"));

    private static void Answer(ProtocolSession session, WireStatus status, ReadOnlySpan<byte> payload)
    {
        Begin(session.Reply, status, payload.Length);
        session.Reply.Append(payload);
        End(session);
    }

    private static void Begin(IReplyWriter output, WireStatus status, int payloadBytes)
    {
        Span<byte> header = output.Reserve(Wire.HeaderBytes);
        BinaryPrimitives.WriteInt32LittleEndian(header, 1 + payloadBytes);
        header[4] = (byte)status;
        output.Advance(Wire.HeaderBytes);
    }

    private static void End(ProtocolSession session)
    {
        session.Reply.EndAnswer();
        session.WasAnswered = true;
    }

    private void RunFrame(ProtocolSession session, ReadOnlySpan<byte> frame)
    {
        session.Work++;
        if (session.Reply.Answers >= limits.PipelineDepth)
        {
            Refuse(session, ErrorCode.Busy,
                $"{session.Reply.Answers:N0} answers wait to be read, the most there may be; this command was not run");
            return;
        }

        if (frame.IsEmpty)
        {
            Refuse(session, ErrorCode.BadCommand, "a frame without a command");
            return;
        }

        ReadOnlySpan<byte> payload = frame[1..];
        switch ((WireCommand)frame[0])
        {
            case WireCommand.Get:
                Get(session, payload);
                break;
            case WireCommand.Set:
                Set(session, payload);
                break;
            case WireCommand.Delete:
                if (IsKey(session, payload)) Answer(session, commands.Delete(payload) ? WireStatus.Ok : WireStatus.NotFound, default);
                break;
            case WireCommand.Exists:
                if (IsKey(session, payload))
                    Answer(session, commands.TryGet(payload, out _) ? WireStatus.Ok : WireStatus.NotFound, default);
                break;
            case WireCommand.List:
                List(session, payload);
                break;
            case WireCommand.Subscribe:
                Subscribe(session, payload, Interests.Keys | Interests.Messages);
                break;
            case WireCommand.Watch:
                Watch(session, payload);
                break;
            case WireCommand.Unsubscribe:
                if (!TryPattern(session, payload, out KeyPattern? pattern)) break;
                session.Unsubscribe(pattern!.ToString());
                Answer(session, WireStatus.Ok, default);
                break;
            case WireCommand.Publish:
                Publish(session, payload);
                break;
            case WireCommand.Progress:
                Progress(session, payload);
                break;
            case WireCommand.Ping:
                Answer(session, WireStatus.Ok, default);
                break;
            case WireCommand.Hello:
                Answer(session, WireStatus.Ok, _hello);
                break;
            case WireCommand.Quit:
                Answer(session, WireStatus.Ok, default);
                session.IsClosing = true;
                break;
            default:
                Refuse(session, ErrorCode.BadCommand, $"no command {frame[0]:X2}; the commands are 01 to 0D");
                break;
        }
    }

    private void Get(ProtocolSession session, ReadOnlySpan<byte> key)
    {
        if (commands.TryGet(key, out Value? value))
        {
            byte[] bytes = value.Bytes;
            if (!session.Reply.HasRoomFor(bytes.Length))
            {
                Refuse(session, ErrorCode.Busy, BusyReason.Value(bytes.Length));
                return;
            }

            Begin(session.Reply, WireStatus.Ok, bytes.Length);
            session.Reply.AppendValue(bytes);
            End(session);
        }
        else if (IsKey(session, key))
        {
            Answer(session, WireStatus.NotFound, default);
        }
    }

    private void Set(ProtocolSession session, ReadOnlySpan<byte> payload)
    {
        if (!TryName(session, payload, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value) || !IsKey(session, key)
            || !Fits(session, value)) return;
        if (commands.Set(key, Value.FromBytes(value)) is { } problem) Refuse(session, ErrorCode.TooBig, problem);
        else Answer(session, WireStatus.Ok, default);
    }

    private void Publish(ProtocolSession session, ReadOnlySpan<byte> payload)
    {
        if (!TryName(session, payload, out ReadOnlySpan<byte> topic, out ReadOnlySpan<byte> message) || !IsKey(session, topic)
            || !Fits(session, message)) return;
        commands.Publish(topic, Value.FromBytes(message));
        Answer(session, WireStatus.Ok, default);
    }

    private void Progress(ProtocolSession session, ReadOnlySpan<byte> payload)
    {
        if (!TryName(session, payload, out ReadOnlySpan<byte> task, out ReadOnlySpan<byte> arguments)) return;
        if (commands.Progress(task, arguments, out string problem) is { } code) Refuse(session, code, problem);
        else Answer(session, WireStatus.Ok, default);
    }

    private void List(ProtocolSession session, ReadOnlySpan<byte> glob)
    {
        if (!TryPattern(session, glob.IsEmpty ? "*"u8 : glob, out KeyPattern? pattern)) return;
        byte[][] keys = commands.ListKeys(pattern!);
        session.Work += commands.KeyCount;
        long bytes = keys.Sum(key => key.Length + 2L);
        if (bytes > int.MaxValue / 2 || !session.Reply.HasMemoryFor(bytes))
        {
            Refuse(session, ErrorCode.Busy, BusyReason.Keys(keys.Length));
            return;
        }

        Begin(session.Reply, WireStatus.Ok, (int)bytes);
        KeyList.WriteBinary(session.Reply, keys);
        End(session);
    }

    private static void Watch(ProtocolSession session, ReadOnlySpan<byte> payload)
    {
        if (payload.Length < 2
            || payload[0] is < (byte)Interests.Keys or > (byte)(Interests.Snapshot | Interests.Keys | Interests.Messages))
            Refuse(session, ErrorCode.BadCommand, "WATCH needs flags of 2 to 7, and a pattern");
        else
            Subscribe(session, payload[1..], (Interests)payload[0]);
    }

    private static void Subscribe(ProtocolSession session, ReadOnlySpan<byte> glob, Interests interests)
    {
        if (!TryPattern(session, glob, out KeyPattern? pattern)) return;
        if (session.Subscribe(pattern!, interests, out string problem) is { } code) Refuse(session, code, problem);
        else Answer(session, WireStatus.Ok, default);
    }

    private static bool TryName(ProtocolSession session, ReadOnlySpan<byte> payload, out ReadOnlySpan<byte> name,
        out ReadOnlySpan<byte> rest)
    {
        name = rest = default;
        int length = payload.Length < 2 ? 0 : BinaryPrimitives.ReadUInt16LittleEndian(payload);
        if (payload.Length < 2 + length || payload.Length < 2)
        {
            Refuse(session, ErrorCode.BadCommand,
                $"a payload of {payload.Length:N0} bytes cannot hold a name of {length:N0} with its length");
            return false;
        }

        name = payload.Slice(2, length);
        rest = payload[(2 + length)..];
        return true;
    }

    private static bool IsKey(ProtocolSession session, ReadOnlySpan<byte> key)
    {
        if (WireKey.Describe(key) is not { } problem) return true;
        Refuse(session, ErrorCode.BadKey, problem);
        return false;
    }

    private bool Fits(ProtocolSession session, ReadOnlySpan<byte> value)
    {
        if (value.Length <= limits.ValueBytes) return true;
        Refuse(session, ErrorCode.TooBig, $"value of {value.Length:N0} bytes exceeds the limit of {limits.ValueBytes:N0}");
        return false;
    }

    private static bool TryPattern(ProtocolSession session, ReadOnlySpan<byte> glob, out KeyPattern? pattern)
    {
        pattern = KeyList.Pattern(glob, out string problem);
        if (pattern is null) Refuse(session, ErrorCode.BadKey, problem);
        return pattern is not null;
    }
}
