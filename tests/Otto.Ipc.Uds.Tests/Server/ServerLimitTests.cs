using System.Diagnostics;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Server;

// Each bound has an error, and whoever meets it harms nobody else.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class ServerLimitTests
{
    [Test]
    public void One_connection_too_many_receives_the_reason_and_the_others_stay()
    {
        using var server = new TestServer(new UdsServerOptions { MaxConnections = 3 });
        WireClient[] clients = [server.Connect(), server.Connect(), server.Connect()];
        foreach (WireClient client in clients) Assert.That(client.Ask("PING"), Is.EqualTo("PONG"));
        WireClient refused = server.Connect();
        Assert.That(refused.ReadToEnd(), Does.Match("^ERROR: BUSY 3 clients [^\n]*\n$"));
        clients[0].Dispose();
        Watchdog.Until(() => server.Server.Connections == 2, "the place is free again");
        Assert.That(server.Connect().Ask("PING"), Is.EqualTo("PONG"));
    }

    [Test]
    public void Commands_beyond_the_pipelines_depth_are_refused_one_by_one_and_not_run()
    {
        using var server = new TestServer(new UdsServerOptions { MaxPipelineDepth = 50_000 });
        WireClient greedy = server.Connect(), other = server.Connect();
        other.Ask("SET text \"a text that fills what the kernel holds for a client\"");
        byte[] asks = System.Text.Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET text\n", 1000)));
        int sent = 0;
        // Without ever reading: until the server reads no more, or for long enough to be far beyond the depth.
        while (sent < 200_000 * 9)
        {
            int taken = greedy.TrySend(sent % asks.Length == 0 ? asks : asks[(sent % asks.Length)..]);
            sent += taken;
            if (taken == 0) Assert.That(other.Ask("PING"), Is.EqualTo("PONG"));
        }

        greedy.EndInput();
        string[] answers = greedy.ReadToEnd().Split('\n');
        Assert.That(answers, Has.Length.EqualTo(200_001), "every command has one answer");
        Assert.That(answers[0], Does.StartWith("\"a text"));
        int refused = answers.Count(a => a.StartsWith("ERROR: BUSY ", StringComparison.Ordinal));
        Assert.That(refused, Is.InRange(100_000, 150_000));
    }

    [Test, Repeat(20)]
    public void A_client_that_leaves_megabytes_unread_is_not_read_and_nothing_is_lost()
    {
        using var server = new TestServer(new UdsServerOptions { MaxUnreadBytes = 1 << 20 });
        WireClient lazy = server.Connect(), other = server.Connect();
        other.Ask($"SET big \"{new string('x', 500_000)}\"");
        lazy.Send(string.Concat(Enumerable.Repeat("GET big\n", 100)) + "SET after 1\n");
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromMilliseconds(200)) Assert.That(other.Ask("GET after"), Is.EqualTo("null"));
        Assert.That(server.Server.Loop.Budget.Used, Is.LessThan(3 << 20));
        for (int i = 0; i < 100; i++) Assert.That(lazy.ReadLine(), Has.Length.EqualTo(500_002));
        Assert.That(lazy.ReadLine(), Is.EqualTo("OK"));
        Assert.That(other.Ask("GET after"), Is.EqualTo("1"));
    }

    [Test, Repeat(20)]
    public void The_commands_of_a_client_that_leaves_without_reading_run()
    {
        using var server = new TestServer(new UdsServerOptions { MaxUnreadBytes = 64 << 10 });
        WireClient other = server.Connect();
        other.Ask($"SET big \"{new string('x', 50_000)}\"");
        for (int i = 0; i < 50; i++)
        {
            using (WireClient lazy = server.Connect())
            {
                lazy.Send(string.Concat(Enumerable.Repeat("GET big\n", 200)) + $"SET after {i}\n");
                // Sometimes before the server waits for it, sometimes while it does.
                if (i % 2 == 0) Watchdog.Until(() => server.Server.Loop.Budget.Used > 64 << 10, "its answers wait");
            }

            Watchdog.Until(() => other.Ask("GET after") == $"{i}", "the last command was run");
        }
    }

    [Test]
    public void A_store_that_is_full_refuses_more_with_the_numbers_and_keeps_what_it_has()
    {
        using var server = new TestServer(new UdsServerOptions { MaxTotalBytes = 10_000 });
        WireClient client = server.Connect();
        string half = $"\"{new string('x', 5_000)}\"";
        Assert.That(client.Ask($"SET a {half}"), Is.EqualTo("OK"));
        Assert.That(client.Ask($"SET b {half}"), Does.Match("^ERROR: TOOBIG 5,002 .* 5,131 of 10,000 .*1 keys"));
        Assert.That(client.Ask("GET b"), Is.EqualTo("null"));
        Assert.That(client.Ask("SET a 1"), Is.EqualTo("OK"));
        Assert.That(client.Ask($"SET b {half}"), Is.EqualTo("OK"));
        Assert.That(client.Ask("DELETE b"), Is.EqualTo("OK"));
        for (int i = 0; i < 1000; i++) client.Ask($"SET many{i} {i}");
        Assert.That(client.Ask("SET last 1"), Does.StartWith("ERROR: TOOBIG "), "keys count too");
        Assert.That(client.Ask("SET a 2"), Is.EqualTo("OK"), "what is no larger always has room");
    }

    [Test]
    public void Half_received_commands_are_bounded_in_all_and_the_next_command_is_found()
    {
        using var server = new TestServer(new UdsServerOptions { MaxBufferedBytes = 2 << 20 });
        string half = $"SET k \"{new string('x', 900_000)}";
        WireClient[] text = [.. Enumerable.Range(0, 6).Select(_ => server.Connect())];
        foreach (WireClient client in text) client.Send(half);
        // Some of them have no room; which, is a matter of chance. Each is told at its command's end, or was before.
        foreach (WireClient client in text) client.Send("\"\nPING\n");
        List<string> answers = [.. text.Select(client => client.ReadLine()!)];
        Assert.That(answers, Has.Some.StartsWith("ERROR: BUSY ").And.Some.EqualTo("OK"));
        foreach (WireClient client in text) Assert.That(client.ReadLine(), Is.EqualTo("PONG"));

        byte[] frame = WireClient.Frame(1, WireClient.Name("b"), new byte[900_000]);
        WireClient[] binary = [.. Enumerable.Range(0, 6).Select(_ => server.Connect())];
        foreach (WireClient client in binary) client.Send(frame[..^1]);
        foreach (WireClient client in binary) client.Send([frame[^1], .. WireClient.Frame(7)]);
        List<byte> statuses = [.. binary.Select(client => client.ReadFrame().Status)];
        Assert.That(statuses, Has.Some.EqualTo((byte)1).And.Some.EqualTo((byte)0));
        foreach (WireClient client in binary) Assert.That(client.ReadFrame().Status, Is.Zero);
    }

    [Test]
    public void A_connection_has_a_bounded_number_of_patterns()
    {
        using var server = new TestServer(new UdsServerOptions { MaxPatterns = 2 });
        WireClient client = server.Connect();
        Assert.That(client.Ask("SUBSCRIBE a*"), Is.EqualTo("OK"));
        Assert.That(client.Ask("SUBSCRIBE b"), Is.EqualTo("OK"));
        Assert.That(client.Ask("SUBSCRIBE c"), Does.StartWith("ERROR: BUSY 2 "));
        Assert.That(client.Ask("SUBSCRIBE b"), Is.EqualTo("OK"), "it has that one");
        client.Ask("UNSUBSCRIBE b");
        Assert.That(client.Ask("SUBSCRIBE c"), Is.EqualTo("OK"));
        client.Send("SUBSCRIBE c SNAPSHOT\nPING\n");
        Assert.That((client.ReadLine(), client.ReadLine()), Is.EqualTo(("OK", "PONG")));
    }

    [Test]
    public void A_subscriber_that_reads_nothing_for_too_long_receives_SLOW_and_is_closed()
    {
        using var server = new TestServer(new UdsServerOptions { SlowSubscriberTimeout = TimeSpan.FromMilliseconds(200) });
        WireClient watcher = server.Connect(), fast = server.Connect(), writer = server.Connect();
        watcher.Ask("SUBSCRIBE *");
        fast.Ask("SUBSCRIBE end");
        string filler = new('x', 100_000);
        for (int i = 0; i < 30; i++) writer.Ask($"SET k{i} \"{filler}\"");
        // Its patterns are gone once it was found too slow.
        Watchdog.Until(() => server.Server.Loop.Evicted == 1, "the subscriber is found too slow");
        writer.Ask("SET end 1");
        string[] lines = watcher.ReadToEnd().Split('\n');
        Assert.That(lines[^2], Does.StartWith("ERROR: SLOW "));
        Assert.That(lines[..^2], Has.All.StartWith("EVENT ").And.All.EndWith("\""), "each event is whole");
        Assert.That(fast.ReadLine(), Does.EndWith("SET end 1"));
    }

    [Test]
    public void A_subscriber_with_too_many_changed_keys_receives_SLOW_and_is_closed()
    {
        using var server = new TestServer(new UdsServerOptions { MaxPendingKeys = 1_000 });
        WireClient watcher = server.Connect(), writer = server.Connect();
        watcher.SendFrame(5, "*"u8.ToArray());
        Assert.That(watcher.ReadFrame().Status, Is.Zero);
        string filler = new('x', 1_000);
        for (int i = 0; i < 3_000; i++) Assert.That(writer.Ask($"SET k{i} \"{filler}\""), Is.EqualTo("OK"));
        (byte status, byte[] payload) = watcher.ReadFrame();
        int events = 0;
        for (; status == 0x10; events++) (status, payload) = watcher.ReadFrame();
        Assert.That((status, System.Text.Encoding.UTF8.GetString(payload)), Is.EqualTo((1, System.Text.Encoding.UTF8.GetString(payload))));
        Assert.That(System.Text.Encoding.UTF8.GetString(payload), Does.StartWith("SLOW "));
        Assert.That(watcher.IsAtEnd(), Is.True);
        Assert.That(events, Is.InRange(1, 2_000));
    }

    [Test]
    public void A_snapshot_that_cannot_wait_beside_all_else_is_refused()
    {
        using var server = new TestServer(new UdsServerOptions { MaxBufferedBytes = 1 << 20 });
        WireClient client = server.Connect();
        for (int i = 0; i < 20; i++) client.Ask($"SET k{i} \"{new string('x', 100_000)}\"");
        Assert.That(client.Ask("SUBSCRIBE * SNAPSHOT"), Does.StartWith("ERROR: BUSY "));
        client.Send("SUBSCRIBE k1 SNAPSHOT\n");
        Assert.That(client.ReadLine(), Is.EqualTo("OK"));
        Assert.That(client.ReadLine(), Does.StartWith("EVENT 2 SET k1 "));
    }

    [Test]
    public void A_long_list_asked_for_again_and_again_does_not_keep_others_waiting()
    {
        using var server = new TestServer();
        WireClient filler = server.Connect(), greedy = server.Connect(), other = server.Connect();
        for (int i = 0; i < 50_000; i += 1000)
        {
            filler.Send(string.Concat(Enumerable.Range(i, 1000).Select(n => $"SET key{n} 1\n")));
            for (int n = 0; n < 1000; n++) filler.ReadLine();
        }

        greedy.Send(string.Concat(Enumerable.Repeat("LIST nothing*\n", 2_000)) + "SET after 1\n");
        int answered = 0;
        while (other.Ask("GET after") == "null") answered++;
        Assert.That(answered, Is.GreaterThan(20), "others had their turns in between");
        for (int i = 0; i < 2_000; i++) Assert.That(greedy.ReadLine(), Is.EqualTo("[]"));
    }

    [TestCase(nameof(UdsServerOptions.MaxConnections))]
    [TestCase(nameof(UdsServerOptions.MaxValueBytes))]
    [TestCase(nameof(UdsServerOptions.MaxTotalBytes))]
    [TestCase(nameof(UdsServerOptions.MaxPipelineDepth))]
    [TestCase(nameof(UdsServerOptions.MaxUnreadBytes))]
    [TestCase(nameof(UdsServerOptions.MaxBufferedBytes))]
    [TestCase(nameof(UdsServerOptions.MaxPatterns))]
    [TestCase(nameof(UdsServerOptions.MaxPendingKeys))]
    [TestCase(nameof(UdsServerOptions.MaxPendingMessages))]
    [TestCase(nameof(UdsServerOptions.MaxPendingBytes))]
    [TestCase(nameof(UdsServerOptions.SlowSubscriberTimeout))]
    public void An_option_out_of_its_range_is_refused_with_the_numbers(string name)
    {
        var options = new UdsServerOptions();
        System.Reflection.PropertyInfo property = typeof(UdsServerOptions).GetProperty(name)!;
        property.SetValue(options,
            property.PropertyType == typeof(TimeSpan) ? TimeSpan.Zero : Convert.ChangeType(0, property.PropertyType, null));
        Assert.That(() => UdsServer.Start(options), Throws.InstanceOf<ArgumentOutOfRangeException>().With.Message.Match("must be .*: 0"));
    }
}
