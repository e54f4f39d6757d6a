namespace Otto.Ipc.Uds.Tests.Server;

// Each text command, and what is answered to what is none.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class TextProtocolTests
{
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
    public void A_value_is_set_read_and_deleted()
    {
        Assert.That(_client.Ask("GET k"), Is.EqualTo("null"));
        Assert.That(_client.Ask("EXISTS k"), Is.EqualTo("false"));
        Assert.That(_client.Ask("SET k {\"a\": [1, 2]}"), Is.EqualTo("OK"));
        Assert.That(_client.Ask("GET k"), Is.EqualTo("{\"a\": [1, 2]}"));
        Assert.That(_client.Ask("EXISTS k"), Is.EqualTo("true"));
        Assert.That(_client.Ask("DELETE k"), Is.EqualTo("OK"));
        Assert.That(_client.Ask("DELETE k"), Is.EqualTo("OK"), "also where there was none");
        Assert.That(_client.Ask("GET k"), Is.EqualTo("null"));
    }

    [TestCase("1")]
    [TestCase("null")]
    [TestCase("\"ünï \\u0041 😀\"")]
    [TestCase("{\"$base64\":\"AAEC\"}")]
    [TestCase("{\"$base64\":\"not base64!\"}")]
    [TestCase("{\"$base64\":7}")]
    public void A_value_reads_back_as_it_was_sent(string json)
    {
        Assert.That(_client.Ask($"SET k {json}"), Is.EqualTo("OK"));
        Assert.That(_client.Ask("GET k"), Is.EqualTo(json));
    }

    [Test]
    public void Lines_may_end_in_CRLF_and_have_spaces_around_their_parts()
    {
        _client.Send("  SET  k   [1, 2]  \r\nGET k \r\n");
        Assert.That(_client.ReadLine(), Is.EqualTo("OK"));
        Assert.That(_client.ReadLine(), Is.EqualTo("[1, 2]"));
        Assert.That(_client.Ask("SET k [1,\r2]"), Is.EqualTo("OK"));
        Assert.That(_client.Ask("GET k"), Is.EqualTo("[1,2]"), "an answer is one line for every client");
    }

    [Test]
    public void Keys_are_listed_sorted_and_by_glob()
    {
        foreach (string key in (string[])["b.x", "a", "c\"\\d", "é", "b.y"]) _client.Ask($"SET {key} 1");
        Assert.That(_client.Ask("LIST"), Is.EqualTo("[\"a\",\"b.x\",\"b.y\",\"c\\\"\\\\d\",\"é\"]"));
        Assert.That(_client.Ask("LIST b.*"), Is.EqualTo("[\"b.x\",\"b.y\"]"));
        Assert.That(_client.Ask("LIST [ab]"), Is.EqualTo("[\"a\"]"));
        Assert.That(_client.Ask("LIST none"), Is.EqualTo("[]"));
    }

    [Test]
    public void Ping_hello_and_quit_are_answered()
    {
        Assert.That(_client.Ask("PING"), Is.EqualTo("PONG"));
        using var hello = System.Text.Json.JsonDocument.Parse(_client.Ask("HELLO")!);
        Assert.That(hello.RootElement.GetProperty("name").GetString(), Is.EqualTo("otto"));
        Assert.That(hello.RootElement.GetProperty("limits").GetProperty("valueBytes").GetInt32(), Is.EqualTo(1 << 20));
        Assert.That(_client.Ask("QUIT"), Is.EqualTo("OK"));
        Assert.That(_client.IsAtEnd(), Is.True);
    }

    [Test]
    public void What_follows_QUIT_is_not_run()
    {
        _client.Send("SET k 1\nQUIT\nSET k 2\n");
        Assert.That(_client.ReadToEnd(), Is.EqualTo("OK\nOK\n"));
        Assert.That(_server.Ask("GET k\n"), Is.EqualTo("1\n"));
    }

    [TestCase("FOO", "BADCMD")]
    [TestCase("    ", "BADCMD")]
    [TestCase("get k", "BADCMD")]
    [TestCase("GET", "BADCMD")]
    [TestCase("GET a b", "BADCMD")]
    [TestCase("SET k", "BADCMD")]
    [TestCase("SET", "BADCMD")]
    [TestCase("PING PONG", "BADCMD")]
    [TestCase("SUBSCRIBE", "BADCMD")]
    [TestCase("SUBSCRIBE * NOW", "BADCMD")]
    [TestCase("PROGRESS", "BADKEY")]
    [TestCase("PROGRESS a/b 1 2", "BADKEY")]
    [TestCase("PROGRESS t", "BADCMD")]
    [TestCase("PROGRESS t many 3", "BADCMD")]
    [TestCase("PROGRESS t 03 3", "BADCMD")]
    [TestCase("PROGRESS t 1", "BADCMD")]
    [TestCase("PUBLISH t", "BADCMD")]
    [TestCase("PUBLISH t {", "BADJSON")]
    [TestCase("SET k {", "BADJSON")]
    [TestCase("SET k 1 2", "BADJSON")]
    [TestCase("SET k 'x'", "BADJSON")]
    [TestCase("SET k NaN", "BADJSON")]
    [TestCase("GET a\u0001", "BADKEY")]
    [TestCase("GET a\tb", "BADKEY")]
    [TestCase("GET a\u00a0b", "BADKEY")]
    [TestCase("LIST a\tb", "BADKEY")]
    [TestCase("LIST a b", "BADKEY")]
    [TestCase("GET a\0b", "BADKEY")]
    public void What_is_no_command_is_answered_by_its_code_and_the_connection_continues(string line, string code)
    {
        Assert.That(_client.Ask(line), Does.StartWith($"ERROR: {code} "));
        Assert.That(_client.Ask("PING"), Is.EqualTo("PONG"));
    }

    [TestCase("")]
    [TestCase("?")]
    [TestCase("hi\r")]
    public void A_line_too_short_to_distinguish_text_from_binary_is_answered_after_a_second(string line)
    {
        Assert.That(_client.Ask(line), Does.StartWith("ERROR: BADCMD "));
        Assert.That(_client.Ask(""), Does.StartWith("ERROR: BADCMD "));
        Assert.That(_client.Ask("PING"), Is.EqualTo("PONG"));
    }

    [Test]
    public void A_key_has_at_most_250_bytes_not_counting_a_stores_name()
    {
        string longest = new('k', 250);
        Assert.That(_client.Ask($"SET {longest} 1"), Is.EqualTo("OK"));
        Assert.That(_client.Ask($"GET {longest}k"), Does.Match("^ERROR: BADKEY .*251.*250"));
        Assert.That(_client.Ask($"SET build.{longest} 2"), Is.EqualTo("OK"));
        Assert.That(_client.Ask($"GET build.{longest}"), Is.EqualTo("2"));
        Assert.That(_client.Ask($"SET build.{longest}k 2"), Does.StartWith("ERROR: BADKEY "));
        Assert.That(_client.Ask($"SET b/ild.{longest} 2"), Does.StartWith("ERROR: BADKEY "), "no store has such a name");
        Assert.That(_client.Ask($"SET {new string('é', 126)} 1"), Does.StartWith("ERROR: BADKEY "), "bytes count, not characters");
    }

    [Test]
    public void Bytes_that_are_no_UTF_8_are_refused()
    {
        _client.Send([.. "GET "u8, 0xC3, .. "\nSET k \""u8, 0xFF, .. "\"\nLIST "u8, 0xFE, .. "\n"u8]);
        Assert.That(_client.ReadLine(), Does.StartWith("ERROR: BADKEY "));
        Assert.That(_client.ReadLine(), Does.StartWith("ERROR: BADJSON "));
        Assert.That(_client.ReadLine(), Does.StartWith("ERROR: BADKEY "));
    }

    [Test]
    public void A_value_over_the_limit_is_refused_and_the_next_command_is_found()
    {
        int limit = 1 << 20;
        Assert.That(_client.Ask($"SET k \"{new string('v', limit - 2)}\""), Is.EqualTo("OK"));
        Assert.That(_client.Ask($"SET k \"{new string('v', limit - 1)}\""), Does.Match("^ERROR: TOOBIG .*1,048,577.*1,048,576"));
        Assert.That(_client.Ask($"SET k \"{new string('w', limit * 3)}\""), Does.StartWith("ERROR: TOOBIG "));
        Assert.That(_client.Ask("PING"), Is.EqualTo("PONG"));
        Assert.That(_client.Ask("GET k"), Has.Length.EqualTo(limit));
    }

    [Test]
    public void JSON_deeper_than_64_levels_is_refused()
    {
        Assert.That(_client.Ask($"SET k {new string('[', 64)}{new string(']', 64)}"), Is.EqualTo("OK"));
        Assert.That(_client.Ask($"SET k {new string('[', 65)}{new string(']', 65)}"), Does.StartWith("ERROR: BADJSON "));
    }

    [Test]
    public void Progress_is_kept_as_a_key_of_its_task()
    {
        Assert.That(_client.Ask("PROGRESS build 3 10 compiling \"it\""), Is.EqualTo("OK"));
        Assert.That(_client.Ask("GET build.progress"), Is.EqualTo("{\"current\":3,\"total\":10,\"text\":\"compiling \\\"it\\\"\"}"));
        Assert.That(_client.Ask("PROGRESS build 2.5 -"), Is.EqualTo("OK"));
        Assert.That(_client.Ask("GET build.progress"), Is.EqualTo("{\"current\":2.5,\"total\":null}"));
    }

    [Test]
    public void Ten_thousand_commands_in_one_write_are_answered_in_order()
    {
        const int Count = 5_000;
        _client.Send(string.Concat(Enumerable.Range(0, Count).Select(i => $"SET k{i % 100} {i}\nGET k{i % 100}\n")));
        for (int i = 0; i < Count; i++)
        {
            if (_client.ReadLine() != "OK" || _client.ReadLine() != $"{i}") Assert.Fail($"command {i} was answered wrongly");
        }
    }

    [Test]
    public void Commands_split_at_any_byte_are_answered_the_same()
    {
        const string Text = "SET k {\"a\":1}\r\nGET k\nLIST\nFOO\nSET k 2\nGET k\nPING\n";
        // However long this test is kept from a core between the parts.
        using var server = new TestServer(new UdsServerOptions { AnswerFirstCommandWithoutNewline = false });
        using WireClient other = server.Connect();
        string whole = server.Ask(Text);
        server.Ask("DELETE k\n");
        for (int cut = 1; cut < Text.Length; cut++)
        {
            using WireClient client = server.Connect();
            client.Send(Text[..cut]);
            // Its first part was received before the second is sent.
            Assert.That(other.Ask("PING"), Is.EqualTo("PONG"));
            client.Send(Text[cut..] + "DELETE k\nQUIT\n");
            Assert.That(client.ReadToEnd(), Is.EqualTo(whole + "OK\nOK\n"), $"cut at {cut}");
        }
    }
}
