using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Server;

// Clients that send no newline, and hosts whose netcat never closes.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class UnterminatedCommandTests
{
    private static readonly TimeSpan Silence = TimeSpan.FromMilliseconds(100);

    [TestCase("GET k", "7\n")]
    [TestCase("PING", "PONG\n")]
    [TestCase("LIST", "[\"k\"]\n")]
    [TestCase("SET k 8", "OK\n")]
    [TestCase("SET k {\"a\":[1,2]}", "OK\n")]
    [TestCase("DELETE k", "OK\n")]
    [TestCase("EXISTS k", "true\n")]
    [TestCase("PUBLISH news 1", "OK\n")]
    [TestCase("PROGRESS t 1 -", "OK\n")]
    [TestCase("UNSUBSCRIBE *", "OK\n")]
    [TestCase("QUIT", "OK\n")]
    [TestCase("GET k\r", "7\n")]
    public void A_first_command_without_a_newline_is_answered_after_a_silence_and_the_connection_closed(string command, string answer)
    {
        using var server = new TestServer();
        server.Ask("SET k 7\n");
        WireClient client = server.Connect();
        long start = Stopwatch.GetTimestamp();
        client.Send(command);
        Assert.That(client.ReadToEnd(), Is.EqualTo(answer));
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(Silence));
    }

    [TestCase("GET")]
    [TestCase("SET k")]
    [TestCase("SET k {\"a\":")]
    [TestCase("SET k \"half")]
    [TestCase("PROGRESS t 1")]
    [TestCase("NOTHING that is known")]
    public void A_first_command_that_is_not_whole_is_waited_for(string half)
    {
        using var server = new TestServer();
        WireClient client = server.Connect(), other = server.Connect();
        client.Send(half);
        long start = Stopwatch.GetTimestamp();
        // What is answered to others meanwhile shows that the server's alarm went by.
        while (Stopwatch.GetElapsedTime(start) < 3 * Silence) Assert.That(other.Ask("PING"), Is.EqualTo("PONG"));
        client.Send("\nPING\n");
        Assert.That(client.ReadLine(), Does.StartWith("ERROR: "));
        Assert.That(client.ReadLine(), Is.EqualTo("PONG"));
    }

    [Test]
    public void A_split_value_is_never_mistaken_for_a_shorter_one_that_stays()
    {
        using var server = new TestServer();
        WireClient client = server.Connect();
        client.Send("SET k 1");
        Assert.That(client.ReadLine(), Is.EqualTo("OK"));
        Assert.That(client.IsAtEnd(), Is.True, "so that what comes later cannot be taken for a command");
    }

    [Test]
    public void After_a_newline_nothing_is_run_without_one()
    {
        using var server = new TestServer();
        WireClient client = server.Connect(), other = server.Connect();
        Assert.That(client.Ask("PING"), Is.EqualTo("PONG"));
        client.Send("SET k 1");
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < 3 * Silence) Assert.That(other.Ask("GET k"), Is.EqualTo("null"));
        client.Send("23\n");
        Assert.That(client.ReadLine(), Is.EqualTo("OK"));
        Assert.That(other.Ask("GET k"), Is.EqualTo("123"));
    }

    [Test]
    public void If_the_client_closes_its_side_the_rest_is_a_command()
    {
        using var server = new TestServer(new UdsServerOptions { AnswerFirstCommandWithoutNewline = false });
        Assert.That(server.Ask("SET k 1\nGET k"), Is.EqualTo("OK\n1\n"));
        Assert.That(server.Ask("GET k"), Is.EqualTo("1\n"));
        Assert.That(server.Ask("P"), Does.StartWith("ERROR: BADCMD "));
        Assert.That(server.Ask(""), Is.Empty);
    }

    [Test]
    public void A_client_that_is_gone_in_the_middle_of_a_command_leaves_the_old_value()
    {
        // However long this test is kept from a core between a send and the end.
        using var server = new TestServer(new UdsServerOptions { AnswerFirstCommandWithoutNewline = false });
        WireClient other = server.Connect();
        other.Ask("SET k 1");
        for (int i = 0; i < 50; i++)
        {
            using (WireClient killed = server.Connect()) killed.Send("PING\nSET k 1234");
            using (WireClient killed = server.Connect()) killed.Send("DELETE k");
        }

        Watchdog.Until(() => server.Server.Connections == 1, "all of them are gone");
        Assert.That(other.Ask("GET k"), Is.EqualTo("1"));
    }

    [Test]
    public void The_option_off_waits_for_the_newline()
    {
        using var server = new TestServer(new UdsServerOptions { AnswerFirstCommandWithoutNewline = false });
        WireClient client = server.Connect(), other = server.Connect();
        client.Send("SET k 1");
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < 3 * Silence) Assert.That(other.Ask("GET k"), Is.EqualTo("null"));
        Assert.That(client.Ask("2"), Is.EqualTo("OK"));
        Assert.That(other.Ask("GET k"), Is.EqualTo("12"));
    }

    [Test]
    public void An_option_closes_after_an_answer_and_a_second_of_silence()
    {
        using var server = new TestServer(new UdsServerOptions { CloseAfterAnswer = true });
        WireClient client = server.Connect(), watcher = server.Connect(), idle = server.Connect();
        Assert.That(watcher.Ask("SUBSCRIBE *"), Is.EqualTo("OK"));
        long start = Stopwatch.GetTimestamp();
        client.Send("SET k 1\nGET k\n");
        Assert.That(client.ReadToEnd(), Is.EqualTo("OK\n1\n"));
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(TimeSpan.FromSeconds(1)));
        Assert.That(watcher.ReadLine(), Is.EqualTo("EVENT 1 SET k 1"));
        Assert.That(watcher.Ask("PING"), Is.EqualTo("PONG"), "who watches is not closed");
        Assert.That(idle.Ask("PING"), Is.EqualTo("PONG"), "who has not asked yet is not closed");
    }
}
