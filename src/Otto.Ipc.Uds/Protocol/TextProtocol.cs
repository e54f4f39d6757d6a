using System.Text;
using Otto.Ipc.Uds.PubSub;
using Otto.Ipc.Uds.Server;
using Otto.Ipc.Uds.Store;

namespace Otto.Ipc.Uds.Protocol;

// The text dialect: a line in, a line out. GET and SET come first, since they are nearly all that ever comes.

/// <summary>Runs the lines of text clients.</summary>
internal sealed class TextProtocol(ServerLoop server, Broker broker)
{
    private const byte Space = (byte)' ', Newline = (byte)'\n';

    private readonly int _longestLine = server.Options.MaxValueBytes + Wire.CommandBytes;

    /// <summary>Runs every command whose newline has come.</summary>
    /// <returns>How many bytes were used.</returns>
    public int Run(Connection connection, ReadOnlySpan<byte> data)
    {
        int used = 0;
        while (connection.TakesCommands)
        {
            ReadOnlySpan<byte> rest = data[used..];
            int scanned = connection.Scanned;
            int end = rest[scanned..].IndexOf(Newline);
            if (end < 0)
            {
                if (rest.Length <= _longestLine && connection.Skipping == 0)
                {
                    connection.Scanned = rest.Length;
                    return used;
                }

                // Nothing of it is kept; where the next command begins is known when its newline comes.
                if (connection.Skipping == 0) Refuse(connection, ErrorCode.TooBig, $"a line of more than {_longestLine:N0} bytes; a value has at most {server.Options.MaxValueBytes:N0}");
                connection.Skipping = 1;
                connection.Scanned = 0;
                return data.Length;
            }

            end += scanned;
            connection.Scanned = 0;
            connection.SawNewline = true;
            used += end + 1;
            if (connection.Skipping == 0) RunLine(connection, end > 0 && rest[end - 1] == (byte)'\r' ? rest[..(end - 1)] : rest[..end]);
            connection.Skipping = 0;
        }

        return used;
    }

    /// <summary>Runs one command, which its client ended in another way than by a newline.</summary>
    public void RunLast(Connection connection, ReadOnlySpan<byte> line)
    {
        if (connection.Skipping == 0) RunLine(connection, line is [.., (byte)'\r'] ? line[..^1] : line);
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

    public static void Refuse(Connection connection, string code, string words) => Answer(connection, Encoding.UTF8.GetBytes($"ERROR: {code} {words}"));

    private static void Answer(Connection connection, ReadOnlySpan<byte> line)
    {
        connection.Output.Append(line);
        connection.Output.Append("\n"u8);
        connection.Output.EndAnswer();
        connection.WasAnswered = true;
    }

    private static ReadOnlySpan<byte> Token(ref ReadOnlySpan<byte> rest)
    {
        int space = rest.IndexOf(Space);
        ReadOnlySpan<byte> token = space < 0 ? rest : rest[..space];
        rest = space < 0 ? default : rest[space..].Trim(Space);
        return token;
    }

    private void RunLine(Connection connection, ReadOnlySpan<byte> line)
    {
        connection.Work++;
        if (connection.Output.Answers >= server.Options.MaxPipelineDepth)
        {
            Refuse(connection, ErrorCode.Busy, $"{connection.Output.Answers:N0} answers wait to be read, the most there may be; this command was not run");
            return;
        }

        ReadOnlySpan<byte> rest = line.Trim(Space), verb = Token(ref rest);
        if (verb.SequenceEqual("GET"u8)) Get(connection, rest);
        else if (verb.SequenceEqual("SET"u8)) Set(connection, rest);
        else RunOther(connection, verb, rest);
    }

    private void RunOther(Connection connection, ReadOnlySpan<byte> verb, ReadOnlySpan<byte> rest)
    {
        if (verb.SequenceEqual("PING"u8) && rest.IsEmpty) Answer(connection, "PONG"u8);
        else if (verb.SequenceEqual("EXISTS"u8)) Exists(connection, rest);
        else if (verb.SequenceEqual("DELETE"u8)) Delete(connection, rest);
        else if (verb.SequenceEqual("PUBLISH"u8)) Publish(connection, rest);
        else if (verb.SequenceEqual("PROGRESS"u8)) Progress(connection, rest);
        else if (verb.SequenceEqual("LIST"u8)) List(connection, rest);
        else if (verb.SequenceEqual("SUBSCRIBE"u8)) Subscribe(connection, rest);
        else if (verb.SequenceEqual("UNSUBSCRIBE"u8)) Unsubscribe(connection, rest);
        else if (verb.SequenceEqual("HELLO"u8) && rest.IsEmpty) Answer(connection, server.Hello);
        else if (verb.SequenceEqual("QUIT"u8) && rest.IsEmpty) Quit(connection);
        else Refuse(connection, ErrorCode.BadCommand, Unknown(verb));
    }

    private void Get(Connection connection, ReadOnlySpan<byte> key)
    {
        Output output = connection.Output;
        if (broker.Keys.TryGet(key, out Entry? entry))
        {
            byte[] text = entry.Value.Text;
            if (text.Length < 1024)
            {
                Span<byte> line = output.Reserve(text.Length + 1);
                text.CopyTo(line);
                line[text.Length] = Newline;
                output.Advance(text.Length + 1);
                output.EndAnswer();
                connection.WasAnswered = true;
                return;
            }

            if (!output.HasRoomFor(text.Length))
            {
                Refuse(connection, ErrorCode.Busy, BusyReason.Value(text.Length));
                return;
            }

            output.AppendValue(text);
            Answer(connection, default);
        }
        else if (IsKey(connection, key, "GET needs one key"))
        {
            Answer(connection, "null"u8);
        }
    }

    private void Set(Connection connection, ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> key = Token(ref rest);
        if (!IsKey(connection, key, "SET needs a key and JSON") || !TryValue(connection, rest, "SET needs JSON behind the key", out Value? value)) return;
        if (broker.Set(key, value!) is { } problem) Refuse(connection, ErrorCode.TooBig, problem);
        else Answer(connection, "OK"u8);
    }

    private void Publish(Connection connection, ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> topic = Token(ref rest);
        if (!IsKey(connection, topic, "PUBLISH needs a topic and JSON") || !TryValue(connection, rest, "PUBLISH needs JSON behind the topic", out Value? message)) return;
        broker.Publish(topic, message!);
        Answer(connection, "OK"u8);
    }

    private void Progress(Connection connection, ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> task = Token(ref rest);
        if (broker.Progress(task, rest, out string problem) is { } code) Refuse(connection, code, problem);
        else Answer(connection, "OK"u8);
    }

    private void Exists(Connection connection, ReadOnlySpan<byte> key)
    {
        if (broker.Keys.TryGet(key, out _)) Answer(connection, "true"u8);
        else if (IsKey(connection, key, "EXISTS needs one key")) Answer(connection, "false"u8);
    }

    private void Delete(Connection connection, ReadOnlySpan<byte> key)
    {
        if (!IsKey(connection, key, "DELETE needs one key")) return;
        broker.Delete(key);
        Answer(connection, "OK"u8);
    }

    private void List(Connection connection, ReadOnlySpan<byte> glob)
    {
        if (!TryPattern(connection, glob.IsEmpty ? "*"u8 : glob, out KeyPattern? pattern)) return;
        byte[][] keys = broker.Keys.Keys(pattern!);
        connection.Work += broker.Keys.Count;
        if (!server.Budget.HasRoomFor(keys.Sum(key => key.Length + 3L)))
        {
            Refuse(connection, ErrorCode.Busy, BusyReason.Keys(keys.Length));
            return;
        }

        KeyList.WriteText(connection.Output, keys);
        Answer(connection, default);
    }

    private void Subscribe(Connection connection, ReadOnlySpan<byte> rest)
    {
        ReadOnlySpan<byte> glob = Token(ref rest);
        Interests interests = Interests.Keys | Interests.Messages;
        if (rest.SequenceEqual("SNAPSHOT"u8)) interests |= Interests.Snapshot;
        else if (!rest.IsEmpty) glob = default;
        if (glob.IsEmpty) Refuse(connection, ErrorCode.BadCommand, "SUBSCRIBE needs one pattern, and SNAPSHOT or nothing behind it");
        else if (!TryPattern(connection, glob, out KeyPattern? pattern)) return;
        else if (broker.Subscribe(connection, pattern!, interests, out string problem) is { } code) Refuse(connection, code, problem);
        else Answer(connection, "OK"u8);
    }

    private void Unsubscribe(Connection connection, ReadOnlySpan<byte> glob)
    {
        if (!TryPattern(connection, glob, out KeyPattern? pattern)) return;
        broker.Unsubscribe(connection, pattern!.ToString());
        Answer(connection, "OK"u8);
    }

    private static void Quit(Connection connection)
    {
        Answer(connection, "OK"u8);
        connection.IsClosing = true;
    }

    private static bool IsKey(Connection connection, ReadOnlySpan<byte> key, string usage)
    {
        if (key.IsEmpty || key.Contains(Space)) Refuse(connection, ErrorCode.BadCommand, usage);
        else if (WireKey.Describe(key) is { } problem) Refuse(connection, ErrorCode.BadKey, problem);
        else return true;
        return false;
    }

    private bool TryValue(Connection connection, ReadOnlySpan<byte> json, string usage, out Value? value)
    {
        value = null;
        json = json.Trim(" \t\r"u8);
        if (json.IsEmpty) Refuse(connection, ErrorCode.BadCommand, usage);
        else if (json.Length > server.Options.MaxValueBytes) Refuse(connection, ErrorCode.TooBig, $"value of {json.Length:N0} bytes exceeds the limit of {server.Options.MaxValueBytes:N0}");
        else if ((value = Value.FromText(json)) is null) Refuse(connection, ErrorCode.BadJson, "the value is not JSON of at most 64 levels in UTF-8; a text needs double quotes");
        return value is not null;
    }

    private static bool TryPattern(Connection connection, ReadOnlySpan<byte> glob, out KeyPattern? pattern)
    {
        pattern = KeyList.Pattern(glob, out string problem);
        if (pattern is null) Refuse(connection, ErrorCode.BadKey, problem);
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
