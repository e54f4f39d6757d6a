using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Server;

// Clients that ask for much and read nothing: all of them together hold no more than they may, the others are served, nothing is left out
// of what is read in the end, and the memory goes back to the system.

[NonParallelizable]
public sealed class MemoryBudgetTests
{
    [Test]
    public void A_crowd_that_asks_and_does_not_read_is_bounded_and_its_memory_goes_back()
    {
        const int Bound = 64 << 20, Clients = 60;
        using var directory = new TestDirectory();
        using ServerProcess server = ServerProcess.Serve(directory.SocketPath, $"buffered={Bound}");
        using var other = new WireClient(directory.SocketPath);
        Assert.That(other.Ask($"SET k \"{new string('y', 3_000)}\""), Is.EqualTo("OK"));
        byte[] asks = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET k\n", 30_000)));
        // The code of it all is there, and counted.
        Crowd(directory.SocketPath, 4, asks, other);
        long before = server.Status("VmRSS");
        for (int round = 0; round < 3; round++)
        {
            long held = 0;
            Crowd(directory.SocketPath, Clients, asks, other, () =>
            {
                held = Buffered(server);
                long resident = server.Status("VmRSS") - before;
                TestContext.Out.WriteLine($"round {round}: {held:N0} bytes wait, {resident:N0} kB more are resident");
                Assert.That(held, Is.InRange(Bound / 2, Bound), "as much as they may");
                Assert.That(resident, Is.LessThan(Bound / 1024 * 5 / 4));
            });
            Watchdog.Until(() => Buffered(server) < 1 << 20, "every connection was given back");
            long after = server.Status("VmRSS") - before;
            TestContext.Out.WriteLine($"round {round}: {after:N0} kB are left");
            Assert.That(after, Is.LessThan(Bound / 1024 / 4));
        }
    }

    [Test]
    public void A_server_in_a_small_container_lives_through_a_crowd_of_unfinished_commands()
    {
        using var directory = new TestDirectory();
        // What a container of 200 MB gives the runtime: 150 MB.
        using ServerProcess server = ServerProcess.ServeWith([("DOTNET_GCHeapHardLimit", "8F0D180")], directory.SocketPath);
        using var other = new WireClient(directory.SocketPath);
        Assert.That(other.Ask("SET k \"kept\""), Is.EqualTo("OK"));
        long before = server.Status("VmRSS");
        List<WireClient> crowd = Unfinished(directory.SocketPath, 500);
        TestContext.Out.WriteLine($"{Buffered(server):N0} bytes wait, {server.Status("VmRSS") - before:N0} kB more are resident");
        Assert.That(other.Ask("GET k"), Is.EqualTo("\"kept\""));
        Assert.That(Buffered(server), Is.LessThan(30 << 20));
        foreach (WireClient client in crowd) client.Dispose();
    }

    [Test]
    public void The_memory_of_unfinished_commands_is_what_is_counted_and_goes_back()
    {
        const int Bound = 64 << 20;
        using var directory = new TestDirectory();
        using ServerProcess server = ServerProcess.Serve(directory.SocketPath, $"buffered={Bound}");
        using var other = new WireClient(directory.SocketPath);
        foreach (WireClient client in Unfinished(directory.SocketPath, 4)) client.Dispose();
        Watchdog.Until(() => Buffered(server) < 1 << 20, "the first ones to be given back");
        long before = server.Status("VmRSS");
        List<WireClient> crowd = Unfinished(directory.SocketPath, 200);
        long held = Buffered(server), resident = server.Status("VmRSS") - before;
        TestContext.Out.WriteLine($"{held:N0} bytes wait, {resident:N0} kB more are resident");
        Assert.That(held, Is.InRange(Bound / 2, Bound), "as much as they may");
        Assert.That(resident, Is.LessThan(Bound / 1024 * 5 / 4));
        foreach (WireClient client in crowd) client.Dispose();
        Watchdog.Until(() => Buffered(server) < 1 << 20, "every connection was given back");
        long after = server.Status("VmRSS") - before;
        TestContext.Out.WriteLine($"{after:N0} kB are left");
        Assert.That(after, Is.LessThan(Bound / 1024 / 4));
        Assert.That(other.Ask("PING"), Is.EqualTo("PONG"));
    }

    [Test]
    public async Task A_client_that_reads_late_gets_every_answer_in_order()
    {
        const int Clients = 12, Commands = 3_000;
        using var server = new TestServer(new UdsServerOptions { MaxBufferedBytes = 4 << 20 });
        WireClient other = server.Connect();
        other.Ask($"SET k \"{new string('y', 3_000)}\"");
        using var allSent = new CountdownEvent(Clients / 2);
        await Watchdog.WaitAsync(Task.WhenAll(Enumerable.Range(0, Clients).Select(number =>
        {
            WireClient client = server.Connect();
            // Half of them read at once, the others when the server takes nothing more from anybody.
            Task sending = Watchdog.RunOnThread(() =>
            {
                for (int i = 0; i < Commands; i += 100)
                    client.Send(string.Concat(Enumerable.Range(i, 100).Select(n => $"GET k\nSET own{number} {n}\nGET own{number}\n")));
            });
            return Watchdog.RunOnThread(() =>
            {
                if (number % 2 == 0)
                {
                    Watchdog.Until(() => server.Server.Loop.Budget.IsUnderPressure, "memory is short");
                    allSent.Signal();
                    allSent.Wait(Watchdog.Limit);
                }

                for (int i = 0; i < Commands; i++)
                {
                    Assert.That(client.ReadLine(), Has.Length.EqualTo(3_002));
                    Assert.That(client.ReadLine(), Is.EqualTo("OK"));
                    Assert.That(client.ReadLine(), Is.EqualTo($"{i}"));
                }

                sending.Wait();
            });
        })));
        Assert.That(server.Server.Loop.Evicted, Is.Zero);
    }

    [Test]
    public void A_client_that_waits_for_memory_continues_when_others_release_it()
    {
        using var server = new TestServer(new UdsServerOptions { MaxBufferedBytes = 2 << 20 });
        WireClient hog = server.Connect(), waiting = server.Connect(), other = server.Connect();
        other.Ask($"SET k \"{new string('y', 3_000)}\"");
        byte[] asks = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET k\n", 1_000)));
        while (!server.Server.Loop.Budget.IsUnderPressure) hog.TrySend(asks);
        // It reads nothing before everything was taken from it: only that the other one goes lets it.
        byte[] all = Encoding.ASCII.GetBytes(
            string.Concat(Enumerable.Repeat("GET k\n", 300)) + "SET done 1\n"
            + string.Concat(Enumerable.Repeat(new string(' ', 99) + "\n", 10_000)));
        Task sending = Watchdog.RunOnThread(() => waiting.Send(all));
        for (int i = 0; i < 100; i++) Assert.That(other.Ask("GET done"), Is.EqualTo("null"));
        Assert.That(other.Ask("GET k"), Has.Length.EqualTo(3_002), "whoever reads is served");
        hog.Dispose();
        Watchdog.Until(() => other.Ask("GET done") == "1", "its commands are run");
        for (int i = 0; i < 300; i++) Assert.That(waiting.ReadLine(), Has.Length.EqualTo(3_002));
        Assert.That(waiting.ReadLine(), Is.EqualTo("OK"));
        for (int i = 0; i < 10_000; i++) Assert.That(waiting.ReadLine(), Does.StartWith("ERROR: BADCMD "));
        Assert.That(sending.Wait(Watchdog.Limit), Is.True);
    }

    [Test]
    public void A_client_that_reads_nothing_is_closed_only_if_memory_is_short()
    {
        using var server = new TestServer(
            new UdsServerOptions { MaxBufferedBytes = 8 << 20, MaxUnreadBytes = 1 << 20,
                SlowSubscriberTimeout = TimeSpan.FromMilliseconds(300) });
        WireClient stopped = server.Connect(), other = server.Connect();
        other.Ask($"SET k \"{new string('y', 3_000)}\"");
        byte[] asks = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("GET k\n", 1_000)));
        stopped.Send(asks);
        stopped.Send("SET after 1\n");
        // As long as nobody needs the memory it may sleep: a subscriber that began after it is found too slow, and it is still there.
        for (int i = 1; i <= 2; i++)
        {
            WireClient subscriber = server.Connect();
            subscriber.Ask("SUBSCRIBE news");
            Watchdog.Until(
                () =>
                {
                    other.Ask($"PUBLISH news \"{new string('z', 10_000)}\"");
                    return server.Server.Loop.Evicted == i;
                },
                "the subscriber is found too slow");
        }

        Assert.That(other.Ask("GET after"), Is.EqualTo("null"));
        List<WireClient> hogs = [];
        while (!server.Server.Loop.Budget.IsUnderPressure)
        {
            hogs.Add(server.Connect());
            hogs[^1].TrySend(asks);
            Assert.That(other.Ask("PING"), Is.EqualTo("PONG"));
            Assert.That(hogs, Has.Count.LessThan(1_000));
        }

        Watchdog.Until(() => !server.Server.Loop.Budget.IsUnderPressure, "those who hold it are closed");
        Assert.That(server.Server.Loop.Evicted, Is.GreaterThan(2));
        Assert.That(other.Ask("PING"), Is.EqualTo("PONG"));
    }

    private static long Buffered(ServerProcess server) =>
        long.Parse(server.Ask("report")!.Split(' ').First(
            part => part.StartsWith("buffered=", StringComparison.Ordinal))["buffered=".Length..],
            System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Clients that each send a large command but for its end, as far as the server takes it.</summary>
    private static List<WireClient> Unfinished(string path, int clients)
    {
        byte[] command = Encoding.ASCII.GetBytes($"SET key \"{new string('y', 1_000_000)}");
        List<WireClient> crowd = [];
        for (int i = 0; i < clients; i++)
        {
            var client = new WireClient(path);
            crowd.Add(client);
            try
            {
                client.Send(command);
            }
            catch (IOException)
            {
                // Told that there is no room, and closed.
            }
            catch (System.Net.Sockets.SocketException)
            {
            }
        }

        return crowd;
    }

    private static void Crowd(string path, int clients, byte[] asks, WireClient other, Action? look = null)
    {
        List<WireClient> crowd = [];
        try
        {
            int[] sent = new int[clients];
            for (int i = 0; i < clients; i++) crowd.Add(new WireClient(path));
            // Until nothing is taken any more from anybody, while somebody else is served.
            for (int idle = 0; idle < 200; idle++)
            {
                for (int i = 0; i < clients; i++)
                {
                    int taken = sent[i] < asks.Length ? crowd[i].TrySend(asks[sent[i]..]) : 0;
                    sent[i] += taken;
                    if (taken > 0) idle = 0;
                }

                Assert.That(other.Ask("PING"), Is.EqualTo("PONG"));
            }

            look?.Invoke();
        }
        finally
        {
            foreach (WireClient client in crowd) client.Dispose();
        }
    }
}
