using System.Buffers.Binary;
using System.Text;

namespace Otto.Ipc.Uds.Peer.Fuzz;

// Inputs that are malformed, cut off, too large, or mixed, each from a number alone, so that a failure can be repeated. Where the protocol
// says how many answers there are, the input says so too.

internal sealed class FuzzInputGenerator(Random random)
{
    private static readonly string[] Verbs = ["GET", "SET", "DELETE", "EXISTS", "LIST", "PUBLISH", "PROGRESS", "PING", "HELLO",
        "UNSUBSCRIBE"];
    private static readonly string[] Values = ["1", "null", "\"x\"", "{\"a\":[1,2,{\"b\":\"ü\"}]}", "{\"$base64\":\"AAEC\"}",
        "{\"$base64\":\"?\"}", "[", "{\"", "1 2", "tru", "-", "1e999", "\"\\ud800\""];
    private static readonly string[] Globs = ["*", "k*", "?", "[a-z]*", "[", "[!", "[]", "a*a*a*a*a*a*a*a*b", "**", "k1", "[z-a]", "\\",
        "é*"];

    public FuzzInput Next() => random.Next(12) switch
    {
        0 => new FuzzInput("soup", Bytes(random.Next(400)), Any()) { Piece = Piece() },
        1 or 2 or 3 => Lines(),
        4 => OversizedLine(),
        5 or 6 or 7 => Frames(),
        8 => BrokenFrames(),
        9 => Subscriber(),
        10 => Mixed(),
        _ => new FuzzInput("cut", Cut(Lines().Bytes),
            random.Next(2) == 0 ? ConnectionEnding.Leaves : ConnectionEnding.Reads) { Piece = Piece() },
    };

    private FuzzInput Lines()
    {
        int count = random.Next(1, 40);
        var all = new MemoryStream();
        for (int i = 0; i < count; i++)
        {
            byte[] line = Line();
            if (random.Next(4) == 0) Mutate(line);
            // A newline inside would be another line, and a NUL at the fourth byte of the first another dialect.
            for (int b = 0; b < line.Length; b++)
            {
                if (line[b] is (byte)'\n' or 0) line[b] = (byte)'x';
            }

            all.Write(line);
            all.Write(random.Next(5) == 0 ? "\r\n"u8 : "\n"u8);
        }

        byte[] bytes = all.ToArray();
        // By chance a mutated line can be one that is answered by more, or by the end.
        bool counted = !Contains(bytes, "SUBSCRIBE"u8) && !Contains(bytes, "QUIT"u8);
        return new FuzzInput("lines", bytes, counted ? ConnectionEnding.Reads : Any()) { Piece = Piece(), Lines = counted ? count : -1 };
    }

    private FuzzInput OversizedLine()
    {
        bool ends = random.Next(2) == 0;
        byte[] line = Encoding.ASCII.GetBytes($"SET k \"{new string('x', random.Next(4_000, 300_000))}\"");
        return new FuzzInput("oversized line", ends ? [.. line, .. "\nPING\n"u8] : line,
            ends ? ConnectionEnding.Reads : Any()) { Lines = ends ? 2 : -1,
            Piece = Large() };
    }

    private FuzzInput Frames()
    {
        int count = random.Next(1, 30), frames = 0;
        var all = new MemoryStream();
        for (int i = 0; i < count; i++)
        {
            // 05 and 0D subscribe, 0C ends: they are met elsewhere.
            byte command = (byte)(random.Next(10) == 0 ? random.Next(14, 256) : Pick([1, 2, 3, 4, 6, 7, 8, 9, 10, 11]));
            byte[] payload = random.Next(3) == 0 ? Bytes(random.Next(60))
                : command is 1 or 6 ? [.. Name(Key()), .. Bytes(random.Next(200))] : Encoding.UTF8.GetBytes(Key());
            if (random.Next(50) == 0) payload = new byte[random.Next(4_000, 200_000)];
            if (random.Next(40) == 0)
            {
                all.Write([0, 0, 0, 0]);
                frames++;
            }

            all.Write(Frame(command, payload));
            frames++;
        }

        return new FuzzInput("frames", all.ToArray(), ConnectionEnding.Reads) { Frames = frames, Piece = Large() };
    }

    private FuzzInput BrokenFrames()
    {
        byte[] bytes = [.. Frames().Bytes];
        switch (random.Next(3))
        {
            case 0:
                bytes = Cut(bytes);
                break;
            case 1:
                BinaryPrimitives.WriteUInt32LittleEndian(bytes, (uint)random.Next(1 << 24));
                break;
            default:
                for (int i = 0; i < 5; i++) Mutate(bytes.AsSpan(Math.Min(4, bytes.Length)));
                break;
        }

        return new FuzzInput("broken frames", bytes, AnyFor(bytes)) { Piece = Large() };
    }

    private FuzzInput Subscriber()
    {
        var all = new MemoryStream();
        bool text = random.Next(2) == 0;
        for (int i = random.Next(1, 6); i > 0; i--)
        {
            string glob = Pick(Globs);
            if (text) all.Write(Encoding.UTF8.GetBytes($"SUBSCRIBE {glob}{(random.Next(2) == 0 ? " SNAPSHOT" : "")}\n"));
            else if (random.Next(2) == 0) all.Write(Frame(5, Encoding.UTF8.GetBytes(glob)));
            else all.Write(Frame(13, [(byte)random.Next(9), .. Encoding.UTF8.GetBytes(glob)]));
        }

        all.Write(text ? "PING\n"u8 : Frame(7, []));
        return new FuzzInput("subscriber", all.ToArray(),
            Pick([ConnectionEnding.Leaves, ConnectionEnding.ReadsALittle, ConnectionEnding.Stays])) { Piece = Piece() };
    }

    private FuzzInput Mixed()
    {
        byte[] text = Lines().Bytes, frames = Frames().Bytes;
        byte[] bytes = random.Next(3) switch { 0 => [.. text, .. frames], 1 => [.. frames, .. text],
            _ => [.. frames, .. Bytes(50), .. text, .. frames] };
        return new FuzzInput("mixed", bytes, AnyFor(bytes)) { Piece = Large() };
    }

    private byte[] Line()
    {
        string verb = Pick(Verbs), line = verb switch
        {
            "SET" or "PUBLISH" => $"{verb} {Key()} {Pick(Values)}",
            "LIST" or "UNSUBSCRIBE" => $"{verb} {Pick(Globs)}",
            "PROGRESS" => $"{verb} t{random.Next(3)} {random.Next(10)} {(random.Next(2) == 0 ? "-" : "10")} words of progress",
            "PING" or "HELLO" => verb,
            _ => $"{verb} {Key()}",
        };
        return Encoding.UTF8.GetBytes(random.Next(20) == 0 ? " " + line + "  " : line);
    }

    private string Key() =>
        random.Next(8) switch { 0 => new string('k', random.Next(1, 400)), 1 => "", 2 => "a b", 3 => "ключ" + random.Next(5),
            _ => "k" + random.Next(200) };

    private void Mutate(Span<byte> bytes)
    {
        if (bytes.Length > 0) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
    }

    private byte[] Cut(byte[] bytes) => bytes[..random.Next(bytes.Length)];

    private byte[] Bytes(int count)
    {
        byte[] bytes = new byte[count];
        random.NextBytes(bytes);
        for (int i = 0; i < count; i++)
        {
            if (random.Next(12) == 0) bytes[i] = (byte)'\n';
        }

        return bytes;
    }

    private int Piece() => random.Next(4) switch { 0 => 1, 1 => random.Next(1, 50), _ => int.MaxValue };

    private int Large() => random.Next(4) == 0 ? random.Next(1_000, 20_000) : int.MaxValue;

    private ConnectionEnding Any() =>
        Pick([ConnectionEnding.Reads, ConnectionEnding.Leaves, ConnectionEnding.ReadsALittle, ConnectionEnding.Stays]);

    // A frame that became a subscription by chance keeps its connection open: there is no end to read to.
    private ConnectionEnding AnyFor(byte[] bytes)
    {
        ConnectionEnding ending = Any();
        return ending == ConnectionEnding.Reads && HasSubscription(bytes) ? ConnectionEnding.ReadsALittle : ending;
    }

    private static bool HasSubscription(byte[] bytes)
    {
        for (long at = 0; at + 4 < bytes.Length;)
        {
            uint length = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan((int)at));
            if (length > 0 && bytes[at + 4] is 0x05 or 0x0D) return true;
            at += 4L + length;
        }

        return false;
    }

    private T Pick<T>(T[] choices) => choices[random.Next(choices.Length)];

    private static bool Contains(byte[] bytes, ReadOnlySpan<byte> word) => bytes.AsSpan().IndexOf(word) >= 0;

    private static byte[] Name(string name)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(name);
        return [(byte)bytes.Length, (byte)(bytes.Length >> 8), .. bytes];
    }

    private static byte[] Frame(byte command, byte[] payload)
    {
        byte[] frame = new byte[5 + payload.Length];
        BinaryPrimitives.WriteInt32LittleEndian(frame, 1 + payload.Length);
        frame[4] = command;
        payload.CopyTo(frame, 5);
        return frame;
    }
}
