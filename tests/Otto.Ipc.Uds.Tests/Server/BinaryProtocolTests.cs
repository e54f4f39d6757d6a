using System.Buffers.Binary;
using System.Text;

namespace Otto.Ipc.Uds.Tests.Server;

// Each binary command, byte by byte, and how values look from the other dialect.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class BinaryProtocolTests
{
    private const byte Set = 1, Get = 2, Delete = 3, List = 4, Subscribe = 5, Publish = 6, Ping = 7, Unsubscribe = 8, Exists = 9,
        Progress = 10, Hello = 11, Quit = 12, WatchCommand = 13;
    private const byte Ok = 0, Error = 1, NotFound = 2, Event = 0x10;

    private TestServer _server = null!;
    private WireClient _client = null!;

    [SetUp]
    public void Start()
    {
        _server = new TestServer();
        _client = _server.Connect();
    }

    [TearDown]
    public void Stop() => _server.Dispose();

    [Test]
    public void A_value_of_every_byte_is_set_read_and_deleted()
    {
        byte[] every = [.. Enumerable.Range(0, 256).Select(i => (byte)i)];
        Expect(_client.AskFrame(Get, "k"u8.ToArray()), NotFound);
        Expect(_client.AskFrame(Set, WireClient.Name("k"), every), Ok);
        Expect(_client.AskFrame(Get, "k"u8.ToArray()), Ok, every);
        Expect(_client.AskFrame(Exists, "k"u8.ToArray()), Ok);
        Expect(_client.AskFrame(Delete, "k"u8.ToArray()), Ok);
        Expect(_client.AskFrame(Delete, "k"u8.ToArray()), NotFound);
        Expect(_client.AskFrame(Exists, "k"u8.ToArray()), NotFound);
        Expect(_client.AskFrame(Set, WireClient.Name("k")), Ok);
        Expect(_client.AskFrame(Get, "k"u8.ToArray()), Ok, []);
    }

    [Test]
    public void Keys_are_listed_with_their_lengths()
    {
        foreach (string key in (string[])["b", "a", "é"]) _client.AskFrame(Set, WireClient.Name(key));
        Expect(_client.AskFrame(List), Ok, [.. WireClient.Name("a"), .. WireClient.Name("b"), .. WireClient.Name("é")]);
        Expect(_client.AskFrame(List, "[ab]"u8.ToArray()), Ok, [.. WireClient.Name("a"), .. WireClient.Name("b")]);
        Expect(_client.AskFrame(List, "none"u8.ToArray()), Ok, []);
    }

    [Test]
    public void Bytes_that_are_no_JSON_read_in_text_as_base64_and_back()
    {
        _client.AskFrame(Set, WireClient.Name("bytes"), [0, 1, 2]);
        _client.AskFrame(Set, WireClient.Name("json"), "{\"a\":\r\n1}"u8.ToArray());
        _client.AskFrame(Set, WireClient.Name("looks"), "{\"$base64\":\"AAEC\"}"u8.ToArray());
        Assert.That(_server.Ask("GET bytes\nGET json\nGET looks\nSET back {\"$base64\":\"AAEC\"}\nSET one 1\n"),
            Is.EqualTo("{\"$base64\":\"AAEC\"}\n{\"a\":1}\n{\"$base64\":\"eyIkYmFzZTY0IjoiQUFFQyJ9\"}\nOK\nOK\n"));
        Expect(_client.AskFrame(Get, "back"u8.ToArray()), Ok, [0, 1, 2]);
        Expect(_client.AskFrame(Get, "one"u8.ToArray()), Ok, "1"u8.ToArray());
        Expect(_client.AskFrame(Get, "looks"u8.ToArray()), Ok, "{\"$base64\":\"AAEC\"}"u8.ToArray());
    }

    [Test]
    public void Events_come_with_number_kind_key_and_value()
    {
        WireClient other = _server.Connect();
        other.AskFrame(Set, WireClient.Name("k"), [7]);
        Expect(_client.AskFrame(Subscribe, "*"u8.ToArray()), Ok);
        other.AskFrame(Set, WireClient.Name("k"), [8]);
        other.AskFrame(Delete, "k"u8.ToArray());
        other.AskFrame(Publish, WireClient.Name("news"), [9, 10]);
        ExpectEvent(2, 1, "k", [8]);
        ExpectEvent(3, 2, "k", []);
        ExpectEvent(4, 3, "news", [9, 10]);
        Expect(_client.AskFrame(Unsubscribe, "*"u8.ToArray()), Ok);
        other.AskFrame(Set, WireClient.Name("k"), [8]);
        Expect(_client.AskFrame(Ping), Ok);
    }

    [Test]
    public void Watch_begins_with_a_snapshot_and_sends_only_what_was_asked_for()
    {
        WireClient other = _server.Connect();
        other.AskFrame(Set, WireClient.Name("a"), [1]);
        other.AskFrame(Set, WireClient.Name("b"), [2]);
        other.AskFrame(Set, WireClient.Name("a"), [3]);
        // Snapshot and keys, no messages; the answer to what follows comes after the snapshot.
        _client.SendFrame(WatchCommand, [1 | 2], "[ab]"u8.ToArray());
        _client.SendFrame(Ping);
        Expect(_client.ReadFrame(), Ok);
        ExpectEvent(2, 1, "b", [2]);
        ExpectEvent(3, 1, "a", [3]);
        Expect(_client.ReadFrame(), Ok);
        other.AskFrame(Publish, WireClient.Name("a"), [4]);
        other.AskFrame(Set, WireClient.Name("a"), [5]);
        ExpectEvent(5, 1, "a", [5]);
        WireClient messages = _server.Connect();
        Expect(messages.AskFrame(WatchCommand, [4], "a"u8.ToArray()), Ok);
        other.AskFrame(Set, WireClient.Name("a"), [6]);
        other.AskFrame(Publish, WireClient.Name("a"), [7]);
        Assert.That(messages.ReadFrame().Payload, Is.EqualTo(EventBytes(7, 3, "a", [7])));
    }

    [Test]
    public void Progress_and_hello_are_as_in_text()
    {
        Expect(_client.AskFrame(Progress, WireClient.Name("build"), "3 10 half way"u8.ToArray()), Ok);
        Expect(_client.AskFrame(Get, "build.progress"u8.ToArray()), Ok, "{\"current\":3,\"total\":10,\"text\":\"half way\"}"u8.ToArray());
        Assert.That(Encoding.UTF8.GetString(_client.AskFrame(Hello).Payload) + "\n", Is.EqualTo(_server.Ask("HELLO\n")));
    }

    [Test]
    public void Quit_closes_and_what_follows_is_not_run()
    {
        _client.Send([.. WireClient.Frame(Quit), .. WireClient.Frame(Set, WireClient.Name("k"), [1])]);
        Expect(_client.ReadFrame(), Ok);
        Assert.That(_client.IsAtEnd(), Is.True);
        Assert.That(_server.Ask("GET k\n"), Is.EqualTo("null\n"));
    }

    [Test]
    public void What_is_no_command_is_answered_and_the_connection_continues()
    {
        (byte[] Frame, string Code)[] wrong =
        [
            ([0, 0, 0, 0], "BADCMD"),
            (WireClient.Frame(0), "BADCMD"),
            (WireClient.Frame(0x7F, [1, 2]), "BADCMD"),
            (WireClient.Frame(Set), "BADCMD"),
            (WireClient.Frame(Set, [5]), "BADCMD"),
            (WireClient.Frame(Set, [5, 0, 1]), "BADCMD"),
            (WireClient.Frame(Set, WireClient.Name("")), "BADKEY"),
            (WireClient.Frame(Set, WireClient.Name("a b")), "BADKEY"),
            (WireClient.Frame(Publish, WireClient.Name("a\n")), "BADKEY"),
            (WireClient.Frame(Get), "BADKEY"),
            (WireClient.Frame(Get, [0xFF]), "BADKEY"),
            (WireClient.Frame(Delete, new byte[251]), "BADKEY"),
            (WireClient.Frame(List, "a b"u8.ToArray()), "BADKEY"),
            (WireClient.Frame(Subscribe), "BADKEY"),
            (WireClient.Frame(WatchCommand), "BADCMD"),
            (WireClient.Frame(WatchCommand, [1], "*"u8.ToArray()), "BADCMD"),
            (WireClient.Frame(WatchCommand, [8], "*"u8.ToArray()), "BADCMD"),
            (WireClient.Frame(Progress, WireClient.Name("t"), "x"u8.ToArray()), "BADCMD"),
            (WireClient.Frame(Progress, WireClient.Name("a/b"), "1 2"u8.ToArray()), "BADKEY"),
        ];
        foreach ((byte[] frame, string code) in wrong)
        {
            _client.Send(frame);
            (byte status, byte[] payload) = _client.ReadFrame();
            Assert.That((status, Encoding.UTF8.GetString(payload)), Is.EqualTo((Error, Encoding.UTF8.GetString(payload))));
            Assert.That(Encoding.UTF8.GetString(payload), Does.StartWith(code + " "), Convert.ToHexString(frame));
        }

        Expect(_client.AskFrame(Ping), Ok);
    }

    [Test]
    public void A_frame_over_the_limit_is_passed_over()
    {
        _client.SendFrame(Set, WireClient.Name("k"), new byte[3 << 20]);
        _client.SendFrame(Ping);
        (byte status, byte[] words) = _client.ReadFrame();
        Assert.That((status, Encoding.UTF8.GetString(words)),
            Is.EqualTo((Error, "TOOBIG a frame of 3,145,732 bytes; a value has at most 1,048,576")));
        Expect(_client.ReadFrame(), Ok);
        Expect(_client.AskFrame(Set, WireClient.Name("k"), new byte[1 << 20]), Ok);
        Assert.That(_client.AskFrame(Set, WireClient.Name("k"), new byte[(1 << 20) + 1]).Status, Is.EqualTo(Error));
        Assert.That(_client.AskFrame(Get, "k"u8.ToArray()).Payload, Has.Length.EqualTo(1 << 20));
    }

    [Test]
    public void A_length_that_no_frame_has_ends_the_connection_with_words()
    {
        _client.AskFrame(Ping);
        _client.Send([.. WireClient.Frame(Ping), .. "GET k\n"u8]);
        Expect(_client.ReadFrame(), Ok);
        (byte status, byte[] words) = _client.ReadFrame();
        Assert.That((status, Encoding.UTF8.GetString(words)),
            Is.EqualTo((Error, "TOOBIG a frame of 542,393,671 bytes; frames have less than 16,777,216, so the next one cannot be found")));
        Assert.That(_client.IsAtEnd(), Is.True);
    }

    [Test]
    public void A_frame_that_is_cut_off_is_said_to_be()
    {
        _client.Send(WireClient.Frame(Set, WireClient.Name("k"), [1, 2, 3])[..^1]);
        _client.EndInput();
        Assert.That(Encoding.UTF8.GetString(_client.ReadFrame().Payload), Does.StartWith("BADCMD ").And.Contain("10 bytes"));
        Assert.That(_client.IsAtEnd(), Is.True);
    }

    [Test]
    public void Frames_split_at_any_byte_are_answered_the_same()
    {
        byte[] bytes = [.. WireClient.Frame(Set, WireClient.Name("k"), [10, 10, 10]), .. WireClient.Frame(Get, "k"u8.ToArray()),
            .. WireClient.Frame(Delete, "k"u8.ToArray())];
        for (int cut = 1; cut < bytes.Length; cut++)
        {
            WireClient client = _server.Connect();
            client.Send(bytes[..cut]);
            Expect(_client.AskFrame(Ping), Ok);
            client.Send(bytes[cut..]);
            Expect(client.ReadFrame(), Ok);
            Expect(client.ReadFrame(), Ok, [10, 10, 10]);
            Expect(client.ReadFrame(), Ok);
        }
    }

    private static void Expect((byte Status, byte[] Payload) answer, byte status, byte[]? payload = null)
    {
        Assert.That(answer.Status, Is.EqualTo(status), Encoding.UTF8.GetString(answer.Payload));
        Assert.That(answer.Payload, Is.EqualTo(payload ?? []));
    }

    private void ExpectEvent(long sequence, byte kind, string key, byte[] value) =>
        Expect(_client.ReadFrame(), Event, EventBytes(sequence, kind, key, value));

    private static byte[] EventBytes(long sequence, byte kind, string key, byte[] value)
    {
        byte[] number = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(number, sequence);
        return [.. number, kind, .. WireClient.Name(key), .. value];
    }
}
