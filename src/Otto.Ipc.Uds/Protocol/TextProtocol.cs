using System.Text;

namespace Otto.Ipc.Uds.Protocol;

// The text dialect: a line in, a line out. GET and SET come first, since they are nearly all that ever comes.

/// <summary>Runs the lines of text clients.</summary>
internal sealed class TextProtocol(ProtocolLimits limits, ICommandHandler commands)
{
    private const byte Space = (byte)' ', Newline = (byte)'\n';

    private readonly int _longestLine = limits.ValueBytes + Wire.CommandBytes;
    private readonly byte[] _hello = HelloReply.Of(limits);

    /// <summary>Runs every command whose newline has come.</summary>
    /// <returns>How many bytes were used.</returns>
    public int Run(ProtocolSession session, ReadOnlySpan<byte> data)
    {
        int used = 0;
        while (session.TakesCommands)
        {
            ReadOnlySpan<byte> rest = data[used..];
            int scanned = session.Scanned;
            int end = rest[scanned..].IndexOf(Newline);
            if (end < 0)
            {
                if (rest.Length <= _longestLine && session.Skipping == 0)
                {
                    session.Scanned = rest.Length;
                    return used;
                }

                // Nothing of it is kept; where the next command begins is known when its newline comes.
                if (session.Skipping == 0)
                    Refuse(session, ErrorCode.TooBig,
                        $"a line of more than {_longestLine:N0} bytes; a value has at most {limits.ValueBytes:N0}");
                session.Skipping = 1;
                session.Scanned = 0;
                return data.Length;
            }

            end += scanned;
            session.Scanned = 0;
            session.SawNewline = true;
            used += end + 1;
            if (session.Skipping == 0) RunLine(session, end > 0 && rest[end - 1] == (byte)'\r' ? rest[..(end - 1)] : rest[..end]);
            session.Skipping = 0;
        }

        return used;
    }

    /// <summary>Runs one command, which its client ended in another way than by a newline.</summary>
    public void RunLast(ProtocolSession session, ReadOnlySpan<byte> line)
    {
        if (session.Skipping == 0) RunLine(session, line is [.., (byte)'\r'] ? line[..^1] : line);
    }

    /// <summary>Whether a line without its newline is a command already, with nothing missing.</summary>
    public static bool IsWhole(ReadOnlySpan<byte> line)
    {
        ReadOnlySpan<byte> rest = line.Trim(" \r"u8), verb = Token(ref rest), first = Token(ref rest);
        bool named = WireKey.Describe(first) is null;
        if (verb.SequenceEqual("GET"u8) || verb.SequenceEqual("DELETE"u8) || verb.SequenceEqual("EXISTS"u8)) return named && rest.IsEmpty;
        if (verb.SequenceEqual("SET"u8) || verb.SequenceEqual("PUBLISH"u8)) return named && StoredJson.IsJson(rest);
        if (verb.SequenceEqual("LIST"u8) || verb.SequenceEqual("UNSUBSCRIBE"u8)) return rest.IsEmpty;
        if (verb.SequenceEqual("SUBSCRIBE"u8)) return !first.IsEmpty && (rest.IsEmpty || rest.SequenceEqual("SNAPSHOT"u8));
        if (verb.SequenceEqual("PROGRESS"u8)) return named && ProgressArguments.TryParse(rest, out _, out _);
        return first.IsEmpty && (verb.SequenceEqual("PING"u8) || verb.SequenceEqual("HELLO"u8) || verb.SequenceEqual("QUIT"u8));
    }

    public static void Refuse(ProtocolSession session, string code, string words) =>
        Answer(session, Encoding.UTF8.GetBytes($"ERROR: {code} {words}"));

    private static void Answer(ProtocolSession session, ReadOnlySpan<byte> line)
    {
        session.Reply.Append(line);
        session.Reply.Append("\n"u8);
        session.Reply.EndAnswer();
        session.WasAnswered = true;
    }

    private static ReadOnlySpan<byte> Token(ref ReadOnlySpan<byte> rest)
    {
        int space = rest.IndexOf(Space);
        ReadOnlySpan<byte> token = space < 0 ? rest : rest[..space];
        rest = space < 0 ? default : rest[space..].Trim(Space);
        return token;
    }

    private void RunLine(ProtocolSession session, ReadOnlySpan<byte> line)
    {
        session.Work++;
        if (session.Reply.Answers >= limits.PipelineDepth)
        {
            Refuse(session, ErrorCode.Busy,
                $"{session.Reply.Answers:N0} answers wait to be read, the most there may be; this command was not run");
            return;
        }

        ReadOnlySpan<byte> rest = line.Trim(Space), verb = Token(ref rest);
        if (verb.SequenceEqual("GET"u8)) Get(session, rest);
        else if (verb.SequenceEqual("SET"u8)) Set(session, rest);
        else RunOther(session, verb, rest);
    }

    private void RunOther(ProtocolSession session, ReadOnlySpan<byte> verb, ReadOnlySpan<byte> rest)
    {
        if (verb.SequenceEqual("PING"u8) && rest.IsEmpty) Answer(session, "PONG"u8);
        else if (verb.SequenceEqual("EXISTS"u8)) Exists(session, rest);
        else if (verb.SequenceEqual("DELETE"u8)) Delete(session, rest);
        else if (verb.SequenceEqual("PUBLISH"u8)) Publish(session, rest);
        else if (verb.SequenceEqual("PROGRESS"u8)) Progress(session, rest);
        else if (verb.SequenceEqual("LIST"u8)) List(session, rest);
        else if (verb.SequenceEqual("SUBSCRIBE"u8)) Subscribe(session, rest);
        else if (verb.SequenceEqual("UNSUBSCRIBE"u8)) Unsubscribe(session, rest);
        else if (verb.SequenceEqual("HELLO"u8) && rest.IsEmpty) Answer(session, _hello);
        else if (verb.SequenceEqual("QUIT"u8) && rest.IsEmpty) Quit(session);
        else Refuse(session, ErrorCode.BadCommand, Unknown(verb));
    }

    private void Get(ProtocolSession session, ReadOnlySpan<byte> key)
    {
        IReplyWriter output = session.Reply;
        if (commands.TryGet(key, out Value? value))
        {
            byte[] text = value.Text;
            if (text.Length < 1024)
            {
                Span<byte> line = output.Reserve(text.Length + 1);
                text.CopyTo(line);
                line[text.Length] = Newline;
                output.Advance(text.Length + 1);
                output.EndAnswer();
                session.WasAnswered = true;
                return;
            }

            if (!output.HasRoomFor(text.Length))
            {
                Refuse(session, ErrorCode.Busy, BusyReason.Value(text.Length));
                return;
            }

            output.AppendValue(text);
            Answer(session, default);
        }
        else if (IsKey(session, key, "GET needs one key"))
        {
            Answer(session, "null"u8);
        }
    }

    private void Set(ProtocolSession session, ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> key = Token(ref rest);
        if (!IsKey(session, key, "SET needs a key and JSON") || !TryValue(session, rest, "SET needs JSON behind the key", out Value? value))
            return;
        if (commands.Set(key, value!) is { } problem) Refuse(session, ErrorCode.TooBig, problem);
        else Answer(session, "OK"u8);
    }

    private void Publish(ProtocolSession session, ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> topic = Token(ref rest);
        if (!IsKey(session, topic, "PUBLISH needs a topic and JSON")
            || !TryValue(session, rest, "PUBLISH needs JSON behind the topic", out Value? message)) return;
        commands.Publish(topic, message!);
        Answer(session, "OK"u8);
    }

    private void Progress(ProtocolSession session, ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> task = Token(ref rest);
        if (commands.Progress(task, rest, out string problem) is { } code) Refuse(session, code, problem);
        else Answer(session, "OK"u8);
    }

    private void Exists(ProtocolSession session, ReadOnlySpan<byte> key)
    {
        if (commands.TryGet(key, out _)) Answer(session, "true"u8);
        else if (IsKey(session, key, "EXISTS needs one key")) Answer(session, "false"u8);
    }

    private void Delete(ProtocolSession session, ReadOnlySpan<byte> key)
    {
        if (!IsKey(session, key, "DELETE needs one key")) return;
        commands.Delete(key);
        Answer(session, "OK"u8);
    }

    private void List(ProtocolSession session, ReadOnlySpan<byte> glob)
    {
        if (!TryPattern(session, glob.IsEmpty ? "*"u8 : glob, out KeyPattern? pattern)) return;
        byte[][] keys = commands.ListKeys(pattern!);
        session.Work += commands.KeyCount;
        if (!session.Reply.HasMemoryFor(keys.Sum(key => key.Length + 3L)))
        {
            Refuse(session, ErrorCode.Busy, BusyReason.Keys(keys.Length));
            return;
        }

        KeyList.WriteText(session.Reply, keys);
        Answer(session, default);
    }

    private static void Subscribe(ProtocolSession session, ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> glob = Token(ref rest);
        Interests interests = Interests.Keys | Interests.Messages;
        if (rest.SequenceEqual("SNAPSHOT"u8)) interests |= Interests.Snapshot;
        else if (!rest.IsEmpty) glob = default;
        if (glob.IsEmpty) Refuse(session, ErrorCode.BadCommand, "SUBSCRIBE needs one pattern, and SNAPSHOT or nothing behind it");
        else if (!TryPattern(session, glob, out KeyPattern? pattern)) return;
        else if (session.Subscribe(pattern!, interests, out string problem) is { } code) Refuse(session, code, problem);
        else Answer(session, "OK"u8);
    }

    private static void Unsubscribe(ProtocolSession session, ReadOnlySpan<byte> glob)
    {
        if (!TryPattern(session, glob, out KeyPattern? pattern)) return;
        session.Unsubscribe(pattern!.ToString());
        Answer(session, "OK"u8);
    }

    private static void Quit(ProtocolSession session)
    {
        Answer(session, "OK"u8);
        session.IsClosing = true;
    }

    private static bool IsKey(ProtocolSession session, ReadOnlySpan<byte> key, string usage)
    {
        if (key.IsEmpty || key.Contains(Space)) Refuse(session, ErrorCode.BadCommand, usage);
        else if (WireKey.Describe(key) is { } problem) Refuse(session, ErrorCode.BadKey, problem);
        else return true;
        return false;
    }

    private bool TryValue(ProtocolSession session, ReadOnlySpan<byte> json, string usage, out Value? value)
    {
        value = null;
        json = json.Trim(" \t\r"u8);
        if (json.IsEmpty) Refuse(session, ErrorCode.BadCommand, usage);
        else if (json.Length > limits.ValueBytes)
            Refuse(session, ErrorCode.TooBig, $"value of {json.Length:N0} bytes exceeds the limit of {limits.ValueBytes:N0}");
        else if ((value = Value.FromText(json)) is null)
            Refuse(session, ErrorCode.BadJson, "the value is not JSON of at most 64 levels in UTF-8; a text needs double quotes");
        return value is not null;
    }

    private static bool TryPattern(ProtocolSession session, ReadOnlySpan<byte> glob, out KeyPattern? pattern)
    {
        pattern = KeyList.Pattern(glob, out string problem);
        if (pattern is null) Refuse(session, ErrorCode.BadKey, problem);
        return pattern is not null;
    }

    private static string Unknown(ReadOnlySpan<byte> verb)
    {
        const string Known = "the commands are GET SET DELETE EXISTS LIST SUBSCRIBE UNSUBSCRIBE PUBLISH PROGRESS PING HELLO QUIT";
        if (verb.IsEmpty) return $"an empty line; {Known}";
        Span<char> shown = stackalloc char[Math.Min(verb.Length, 20)];
        for (int i = 0; i < shown.Length; i++) shown[i] = verb[i] is > 32 and < 127 ? (char)verb[i] : '?';
        return $"'{shown}' with what follows it is no command; {Known}";
    }
}
