using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Server;

// News: everything to those who keep up, the newest to those who do not, and a writer that waits for neither.

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class SubscriptionTests
{
    private TestServer _server = null!;

    [SetUp]
    public void Start() => _server = new TestServer(new UdsServerOptions { SlowSubscriberTimeout = TimeSpan.FromMinutes(2) });

    [TearDown]
    public void Stop() => _server.Dispose();

    [Test]
    public void Changes_are_sent_as_they_happen()
    {
        WireClient watcher = Subscribe("*"), writer = _server.Connect();
        writer.Ask("SET a 1");
        writer.Ask("SET a 2");
        writer.Ask("DELETE a");
        writer.Ask("DELETE a");
        writer.Ask("PUBLISH news {\"b\":[1]}");
        foreach (string expected in (string[])["EVENT 1 SET a 1", "EVENT 2 SET a 2", "EVENT 3 DELETE a",
            "EVENT 4 MESSAGE news {\"b\":[1]}"])
            Assert.That(watcher.ReadLine(), Is.EqualTo(expected));
    }

    [Test]
    public void Only_matching_changes_are_sent_and_once_however_many_patterns_match()
    {
        WireClient watcher = Subscribe("task.*"), writer = _server.Connect();
        Assert.That(watcher.Ask("SUBSCRIBE *.one"), Is.EqualTo("OK"));
        Assert.That(watcher.Ask("SUBSCRIBE task.one"), Is.EqualTo("OK"));
        Assert.That(watcher.Ask("SUBSCRIBE task.one"), Is.EqualTo("OK"));
        foreach (string key in (string[])["other", "task.one", "x.one", "task.two"]) writer.Ask($"SET {key} 1");
        foreach (string expected in (string[])["EVENT 2 SET task.one 1", "EVENT 3 SET x.one 1", "EVENT 4 SET task.two 1"])
            Assert.That(watcher.ReadLine(), Is.EqualTo(expected));
        Assert.That(watcher.Ask("PING"), Is.EqualTo("PONG"));
    }

    [Test]
    public void Unsubscribing_ends_the_events_of_that_pattern()
    {
        WireClient watcher = Subscribe("a"), writer = _server.Connect();
        watcher.Ask("SUBSCRIBE b*");
        Assert.That(watcher.Ask("UNSUBSCRIBE a"), Is.EqualTo("OK"));
        writer.Ask("SET a 1");
        writer.Ask("SET b 2");
        Assert.That(watcher.ReadLine(), Is.EqualTo("EVENT 2 SET b 2"));
        Assert.That(watcher.Ask("UNSUBSCRIBE b*"), Is.EqualTo("OK"));
        Assert.That(watcher.Ask("UNSUBSCRIBE never"), Is.EqualTo("OK"));
        writer.Ask("SET b 3");
        Assert.That(watcher.Ask("PING"), Is.EqualTo("PONG"));
    }

    [TestCase("UNSUBSCRIBE k*", "UNSUBSCRIBE news")]
    [TestCase("UNSUBSCRIBE news", "UNSUBSCRIBE k*")]
    public void After_the_answer_to_UNSUBSCRIBE_nothing_of_it_comes_however_much_waited(string first, string second)
    {
        WireClient watcher = Subscribe("k*"), writer = _server.Connect();
        watcher.Ask("SUBSCRIBE news");
        watcher.Ask("SUBSCRIBE last");
        string filler = new('x', 1_000);
        for (int i = 0; i < 3_000; i++)
        {
            writer.Ask($"SET k{i} \"{filler}\"");
            writer.Ask($"PUBLISH news \"{filler}\"");
        }

        (string gone, string later) = first.EndsWith('*') ? (" SET k", " MESSAGE ") : (" MESSAGE ", " SET k");
        Assert.That(Until("OK", first), Has.Some.Contains(gone), "what was on its way");
        Assert.That(Until("OK", second), Has.None.Contains(gone));
        writer.Ask("SET last 1");
        Assert.That(Until("PONG", "PING"), Has.None.Contains(gone).And.None.Contains(later));

        List<string> Until(string answer, string command)
        {
            List<string> lines = [];
            watcher.Send(command + "\n");
            for (string? line; (line = watcher.ReadLine()) != answer;) lines.Add(line!);
            return lines;
        }
    }

    [Test]
    public void Messages_before_a_subscription_are_not_sent_and_changed_keys_are_sent_with_their_current_value()
    {
        WireClient watcher = Subscribe("*"), writer = _server.Connect();
        string filler = new('x', 1_000);
        for (int i = 0; i < 3_000; i++)
        {
            writer.Ask($"SET k{i} \"{filler}\"");
            if (i % 10 == 0) writer.Ask($"PUBLISH news {i}");
        }

        watcher.Send("SUBSCRIBE k*\nUNSUBSCRIBE *\nSUBSCRIBE news\nPING\n");
        var keys = new HashSet<string>();
        int told = 0;
        for (string line; (line = watcher.ReadLine()!) != "PONG";)
        {
            if (line.Contains(" SET ", StringComparison.Ordinal)) keys.Add(line.Split(' ')[3]);
            else if (line != "OK") told++;
        }

        writer.Ask("PUBLISH news \"end\"");
        for (string line; !(line = watcher.ReadLine()!).EndsWith("\"end\"", StringComparison.Ordinal);)
        {
            Assert.That(line, Does.Contain(" SET k"), "messages of before the subscription");
            keys.Add(line.Split(' ')[3]);
        }

        Assert.That(keys, Has.Count.EqualTo(3_000), "no key is left out");
        Assert.That(told, Is.LessThan(300));
    }

    [Test]
    public void Nothing_of_an_ended_pattern_follows_its_OK_however_slowly_it_was_read()
    {
        WireClient watcher = Subscribe("a*"), writer = _server.Connect();
        Assert.That(watcher.Ask("SUBSCRIBE b*"), Is.EqualTo("OK"));
        string filler = new('x', 20_000);
        // More than the kernel and the server's output take: the rest waits.
        for (int i = 0; i < 100; i++)
        {
            Assert.That(writer.Ask($"SET a{i} \"{filler}\""), Is.EqualTo("OK"));
            Assert.That(writer.Ask($"SET b{i} {i}"), Is.EqualTo("OK"));
            Assert.That(writer.Ask($"PUBLISH a{i} {i}"), Is.EqualTo("OK"));
        }

        watcher.Send("UNSUBSCRIBE a*\nPING\n");
        List<string> lines = [];
        while (lines.LastOrDefault() != "PONG") lines.Add(watcher.ReadLine()!);
        int ok = lines.IndexOf("OK");
        string[] before = [.. lines[..ok]], after = [.. lines[(ok + 1)..^1]];
        Assert.That(after, Has.None.Contains(" a"));
        Assert.That(before, Has.Some.Contains("SET a"), "what was on its way came first");
        Assert.That(before.Count(l => l.Contains("SET a", StringComparison.Ordinal)), Is.LessThan(100), "some waited");
        writer.Ask("SET b-last 1");
        string last = "";
        while (!last.EndsWith("SET b-last 1", StringComparison.Ordinal)) lines.Add(last = watcher.ReadLine()!);
        Assert.That(lines.Count(l => l.Contains("SET b", StringComparison.Ordinal)), Is.EqualTo(101), "the other pattern missed nothing");
    }

    [Test]
    public void A_snapshot_comes_first_in_the_order_of_the_changes()
    {
        WireClient writer = _server.Connect(), watcher = _server.Connect();
        foreach (string set in (string[])["a 1", "b 2", "other 3", "a 4"]) writer.Ask($"SET {set}");
        watcher.Send("SUBSCRIBE [ab] SNAPSHOT\nPING\n");
        foreach (string expected in (string[])["OK", "EVENT 2 SET b 2", "EVENT 4 SET a 4", "PONG"])
            Assert.That(watcher.ReadLine(), Is.EqualTo(expected));
        writer.Ask("SET a 5");
        Assert.That(watcher.ReadLine(), Is.EqualTo("EVENT 5 SET a 5"));
    }

    [Test]
    public async Task A_snapshot_beside_a_writer_is_of_one_moment_and_nothing_is_missed_after_it()
    {
        const int Rounds = 20_000;
        WireClient writer = _server.Connect();
        writer.Ask("SET a 0");
        writer.Ask("SET b 0");
        // At every moment a is b or one ahead of it.
        Task writing = Watchdog.RunOnThread(() =>
        {
            for (int i = 1; i <= Rounds; i += 100)
            {
                writer.Send(string.Concat(Enumerable.Range(i, 100).Select(n => $"SET a {n}\nSET b {n}\n")));
                for (int n = 0; n < 200; n++) writer.ReadLine();
            }
        });
        bool beside = false;
        do
        {
            beside |= !writing.IsCompleted;
            using WireClient watcher = _server.Connect();
            watcher.Send("SUBSCRIBE [ab] SNAPSHOT\nPING\n");
            Assert.That(watcher.ReadLine(), Is.EqualTo("OK"));
            var values = new Dictionary<string, int>();
            for (string line; (line = watcher.ReadLine()!) != "PONG" && values.Count < 2;) Take(values, line);
            Assert.That(values["a"] - values["b"], Is.InRange(0, 1), "not of one moment");
            int a = values["a"], b = values["b"];
            while (a < Rounds || b < Rounds)
            {
                string line = watcher.ReadLine()!;
                if (line == "PONG") continue;
                Take(values, line);
                Assert.That(values["a"], Is.GreaterThanOrEqualTo(a));
                Assert.That(values["b"], Is.GreaterThanOrEqualTo(b));
                (a, b) = (values["a"], values["b"]);
            }
        }
        while (!writing.IsCompleted);
        await Watchdog.WaitAsync(writing);
        Assert.That(beside, Is.True);

        static void Take(Dictionary<string, int> values, string line)
        {
            string[] parts = line.Split(' ');
            values[parts[3]] = int.Parse(parts[4], CultureInfo.InvariantCulture);
        }
    }

    [Test]
    public async Task A_slow_subscriber_receives_the_newest_value_of_each_key_and_the_writer_never_waits()
    {
        const int Keys = 100, Rounds = 600;
        WireClient watcher = Subscribe("*"), writer = _server.Connect();
        string filler = new('x', 1000);
        // Some 60 MB while nobody reads: far more than sockets hold.
        for (int round = 0; round < Rounds; round++)
        {
            writer.Send(string.Concat(Enumerable.Range(0, Keys).Select(k => $"SET k{k} \"{round} {filler}\"\n")));
            for (int k = 0; k < Keys; k++) Assert.That(writer.ReadLine(), Is.EqualTo("OK"));
        }

        writer.Ask("DELETE k7");
        writer.Ask("SET end 1");
        var last = new Dictionary<string, string>();
        long sequence = 0;
        int events = 0;
        while (!last.ContainsKey("end"))
        {
            string[] parts = (await Watchdog.WaitAsync(Task.Run(watcher.ReadLine)))!.Split(' ');
            Assert.That(parts[0], Is.EqualTo("EVENT"));
            long number = long.Parse(parts[1], CultureInfo.InvariantCulture);
            Assert.That(number, Is.GreaterThan(sequence), "numbers only rise");
            sequence = number;
            last[parts[3]] = parts[2] == "DELETE" ? "gone" : parts[4];
            events++;
        }

        Assert.That(events, Is.LessThan(Keys * Rounds), "values in between were left out");
        for (int k = 0; k < Keys; k++) Assert.That(last[$"k{k}"], Is.EqualTo(k == 7 ? "gone" : $"\"{Rounds - 1}"));
    }

    [Test]
    public void Messages_that_are_not_read_in_time_are_lost_and_counted()
    {
        const int Messages = 60_000;
        WireClient watcher = Subscribe("news"), writer = _server.Connect();
        string filler = new('x', 1000);
        for (int i = 0; i < Messages; i += 100)
        {
            writer.Send(string.Concat(Enumerable.Range(i, 100).Select(n => $"PUBLISH news \"{n} {filler}\"\n")));
            for (int n = 0; n < 100; n++) Assert.That(writer.ReadLine(), Is.EqualTo("OK"));
        }

        int expected = 0;
        long lost = 0;
        while (expected < Messages)
        {
            string[] parts = watcher.ReadLine()!.Split(' ');
            if (parts[2] == "LOST")
            {
                long count = long.Parse(parts[3], CultureInfo.InvariantCulture);
                Assert.That(parts[1], Is.EqualTo($"{expected + count}"), "the number is that of the last one lost");
                expected += (int)count;
                lost += count;
                continue;
            }

            Assert.That((parts[1], parts[4]), Is.EqualTo(($"{expected + 1}", $"\"{expected}")));
            expected++;
        }

        Assert.That(lost, Is.Positive);
    }

    [Test]
    public void Keys_and_messages_that_waited_come_in_the_order_of_their_numbers()
    {
        WireClient watcher = Subscribe("*"), writer = _server.Connect();
        string filler = new('x', 60_000);
        for (int i = 0; i < 100; i++)
        {
            writer.Ask($"SET k{i} \"{filler}\"");
            writer.Ask($"PUBLISH news {i}");
        }

        long sequence = 0;
        for (int i = 0; i < 100; i++)
        {
            Assert.That(watcher.ReadLine(), Does.StartWith($"EVENT {++sequence} SET k{i} "));
            Assert.That(watcher.ReadLine(), Is.EqualTo($"EVENT {++sequence} MESSAGE news {i}"));
        }
    }

    [Test]
    public void Progress_is_sent_ten_times_per_second_and_the_last_update_always()
    {
        WireClient watcher = Subscribe("*.progress"), writer = _server.Connect();
        int current = 0;
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromSeconds(1))
            Assert.That(writer.Ask($"PROGRESS build {++current} -"), Is.EqualTo("OK"));
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        Assert.That(writer.Ask("GET build.progress"), Does.Contain($":{current},"), "who asks is told the newest");
        int told = 0, last = 0;
        while (last < current)
        {
            using var json = JsonDocument.Parse(watcher.ReadLine()!.Split(' ', 5)[4]);
            last = json.RootElement.GetProperty("current").GetInt32();
            told++;
        }

        Assert.That(last, Is.EqualTo(current));
        Assert.That(told, Is.InRange(2, (int)(seconds * 10) + 2));
    }

    [Test]
    public void A_final_update_right_after_another_is_sent_without_a_request()
    {
        WireClient watcher = Subscribe("*"), writer = _server.Connect();
        writer.Send("PROGRESS build 1 2\nPROGRESS build 2 2 done\nPROGRESS other 5 5\n");
        Assert.That(watcher.ReadLine(), Does.EndWith("SET build.progress {\"current\":1,\"total\":2}"));
        Assert.That(watcher.ReadLine(), Does.EndWith("SET other.progress {\"current\":5,\"total\":5}"),
            "one task does not hold back another");
        Assert.That(watcher.ReadLine(), Does.EndWith("SET build.progress {\"current\":2,\"total\":2,\"text\":\"done\"}"));
    }

    [Test]
    public void Progress_that_was_held_back_is_not_sent_once_its_key_is_deleted_or_set()
    {
        WireClient watcher = Subscribe("*"), writer = _server.Connect();
        writer.Send("PROGRESS a 1 2\nPROGRESS a 2 2\nDELETE a.progress\nPROGRESS b 1 2\nPROGRESS b 2 2\nSET b.progress 3\n");
        foreach (string expected in (string[])["SET a.progress {", "DELETE a.progress", "SET b.progress {", "SET b.progress 3"])
            Assert.That(watcher.ReadLine(), Does.Contain(expected));
        long start = Stopwatch.GetTimestamp();
        while (Stopwatch.GetElapsedTime(start) < TimeSpan.FromMilliseconds(250))
            Assert.That(writer.Ask("PING"), Is.Not.Null.And.Not.StartsWith("EVENT"));
        Assert.That(watcher.Ask("PING"), Is.EqualTo("PONG"));
    }

    [Test]
    public void A_watcher_that_closed_its_sending_side_still_receives_events()
    {
        WireClient watcher = _server.Connect(), writer = _server.Connect();
        watcher.Send("SUBSCRIBE *");
        watcher.EndInput();
        Assert.That(watcher.ReadLine(), Is.EqualTo("OK"));
        writer.Ask("SET k 1");
        Assert.That(watcher.ReadLine(), Is.EqualTo("EVENT 1 SET k 1"));
    }

    private WireClient Subscribe(string pattern)
    {
        WireClient watcher = _server.Connect();
        Assert.That(watcher.Ask($"SUBSCRIBE {pattern}"), Is.EqualTo("OK"));
        return watcher;
    }
}
