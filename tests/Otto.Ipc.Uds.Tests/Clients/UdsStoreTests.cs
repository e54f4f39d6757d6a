using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Clients;

// The store suite over a server, and what a store over a connection adds: shells see its keys, and it goes on after its server was killed.

[Parallelizable]
public sealed class UdsStoreTests : StoreConformance
{
    protected override ValueTask<IStoreHarness> CreateHarnessAsync() => new(new StoreHarness());

    private sealed class StoreHarness : IStoreHarness
    {
        private readonly TestServer _server = new();
        private readonly UdsTransport _transport;

        public StoreHarness() => _transport = new UdsTransport(new UdsTransportOptions { SocketPath = _server.SocketPath });

        public ValueTask<IKeyValueStore> OpenAsync() => _transport.OpenStoreAsync("photos");

        public ValueTask<IKeyValueStore> OpenOtherAsync() => _transport.OpenStoreAsync("other");

        public async ValueTask DisposeAsync()
        {
            await _transport.DisposeAsync();
            _server.Dispose();
        }
    }
}

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class StoreConnectionTests
{
    [Test]
    public async Task A_shell_sees_a_stores_keys_behind_its_name()
    {
        using var server = new TestServer();
        await using UdsTransport transport = Transport(server.SocketPath);
        await using IKeyValueStore store = await transport.OpenStoreAsync("build");
        await store.SetAsync("step", "\"compile\""u8.ToArray());
        Assert.That(ExternalProgram.Bash(server.SocketPath,
            "printf 'GET build.step\\nSET build.next \"link\"\\nQUIT\\n' | nc -U $OTTO_SOCKET").Output,
            Is.EqualTo("\"compile\"\nOK\nOK\n"));
        Assert.That(Encoding.UTF8.GetString((await store.GetAsync("next"))!.Value.Span), Is.EqualTo("\"link\""));
    }

    [Test]
    public async Task Without_a_server_opening_fails_with_words_and_waits_for_one_that_is_about_to_start()
    {
        using var directory = new TestDirectory();
        await using (var impatient =
            new UdsTransport(new UdsTransportOptions { SocketPath = directory.SocketPath, ConnectTimeout = TimeSpan.Zero }))
            Assert.That(async () => await impatient.OpenStoreAsync("s"),
                Throws.InstanceOf<ServerNotFoundException>().With.Message.Contains(directory.SocketPath).And.Message.Contains(
                    "otto serve"));
        await using var patient =
            new UdsTransport(new UdsTransportOptions { SocketPath = directory.SocketPath, ConnectTimeout = Watchdog.Limit });
        ValueTask<IKeyValueStore> opening = patient.OpenStoreAsync("s");
        using ServerProcess server = ServerProcess.Serve(directory.SocketPath);
        await using IKeyValueStore store = await Watchdog.WaitAsync(opening);
        await store.SetAsync("k", "1"u8.ToArray());
    }

    [Test]
    public async Task A_store_continues_with_the_servers_successor()
    {
        using var directory = new TestDirectory();
        await using UdsTransport transport = Transport(directory.SocketPath);
        using RestartableServer server = new RestartableServer(directory.SocketPath);
        await using IKeyValueStore store = await transport.OpenStoreAsync("s");
        await store.SetAsync("k", "1"u8.ToArray());
        for (int i = 0; i < 3; i++)
        {
            server.Kill();
            Assert.That(async () => await Watchdog.WaitAsync(store.SetAsync("k", "2"u8.ToArray(), new CancellationTokenSource(200).Token)),
                Throws.InstanceOf<IOException>().Or.InstanceOf<OperationCanceledException>());
            server.Restart();
            Assert.That(await Watchdog.WaitAsync(store.GetAsync("k")), Is.Null, "the store was in the server's memory");
            await store.SetAsync("k", "3"u8.ToArray());
        }
    }

    [Test]
    public async Task A_watch_continues_with_the_servers_successor_and_reports_deleted_keys()
    {
        using var directory = new TestDirectory();
        await using UdsTransport transport = Transport(directory.SocketPath);
        using RestartableServer server = new RestartableServer(directory.SocketPath);
        await using IKeyValueStore store = await transport.OpenStoreAsync("s");
        await store.SetAsync("before", "1"u8.ToArray());
        await using IStoreWatch watch = await store.WatchAsync();
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        await store.SetAsync("k", "1"u8.ToArray());
        Assert.That(await NextAsync(news), Is.EqualTo("Set k 1"));
        Task<string> next = NextAsync(news);
        server.Restart();
        Assert.That(new[] { await next, await NextAsync(news) }, Is.EquivalentTo(new[] { "Deleted before ", "Deleted k " }));
        await store.GetAsync("k"); // The store's own connection is with the successor too.
        await store.SetAsync("k", "2"u8.ToArray());
        Assert.That(await NextAsync(news), Is.EqualTo("Set k 2"));
    }

    [Test]
    public async Task A_watch_that_was_too_slow_takes_a_snapshot_and_reports_the_last_values()
    {
        using var server = new TestServer(new UdsServerOptions { SlowSubscriberTimeout = TimeSpan.FromMilliseconds(100) });
        await using UdsTransport transport = Transport(server.SocketPath);
        await using IKeyValueStore store = await transport.OpenStoreAsync("s");
        await using IStoreWatch watch = await store.WatchAsync();
        await store.SetAsync("gone", "1"u8.ToArray());
        byte[] large = Encoding.UTF8.GetBytes($"\"{new string('x', 100_000)}\"");
        for (int i = 0; i < 20; i++) await store.SetAsync($"k{i}", large);
        Watchdog.Until(() => server.Server.Loop.Evicted == 1, "the watch is found too slow");
        await store.DeleteAsync("gone");
        await store.SetAsync("last", "2"u8.ToArray());
        var state = new Dictionary<string, string>();
        await using IAsyncEnumerator<StoreChange> news = watch.GetAsyncEnumerator();
        while (!(state.ContainsKey("last") && !state.ContainsKey("gone")))
        {
            Assert.That(await Watchdog.WaitAsync(news.MoveNextAsync()), Is.True);
            if (news.Current.Kind == StoreChangeKind.Set) state[news.Current.Key] = Encoding.UTF8.GetString(news.Current.Value.Span);
            else state.Remove(news.Current.Key);
        }

        Assert.That(state, Has.Count.EqualTo(21));
    }

    [Test]
    public async Task Many_callers_share_a_connection_and_each_gets_its_own_answer()
    {
        using var server = new TestServer();
        await using var client = new UdsClient(new UdsTransportOptions { SocketPath = server.SocketPath });
        await Watchdog.WaitAsync(Parallel.ForAsync(0, 64, async (caller, stop) =>
        {
            for (int i = 0; i < 300; i++)
            {
                string value = string.Create(CultureInfo.InvariantCulture, $"{caller * 1000 + i}");
                await client.SetAsync($"k{caller}", Encoding.UTF8.GetBytes(value), stop);
                Assert.That(Encoding.UTF8.GetString((await client.GetAsync($"k{caller}", stop))!.Value.Span), Is.EqualTo(value));
            }
        }));
        Assert.That(server.Server.Connections, Is.EqualTo(1));
        Assert.That(await client.ListAsync("k?"), Is.EqualTo(Enumerable.Range(0, 10).Select(i => $"k{i}")));
    }

    [Test]
    public async Task A_cancelled_call_leaves_the_connection_to_the_others()
    {
        using var server = new TestServer();
        await using var client = new UdsClient(new UdsTransportOptions { SocketPath = server.SocketPath });
        await client.SetAsync("k", "1"u8.ToArray());
        for (int i = 0; i < 500; i++)
        {
            using var stop = new CancellationTokenSource();
            Task<ReadOnlyMemory<byte>?> cancelled = client.GetAsync("none", stop.Token).AsTask();
            Task<ReadOnlyMemory<byte>?> other = client.GetAsync("k").AsTask();
            await stop.CancelAsync();
            try
            {
                Assert.That(await cancelled, Is.Null);
            }
            catch (OperationCanceledException)
            {
            }

            Assert.That((await Watchdog.WaitAsync(other))!.Value.ToArray(), Is.EqualTo("1"u8.ToArray()));
        }
    }

    [Test]
    public async Task Large_values_and_many_of_them_go_both_ways()
    {
        using var server = new TestServer();
        await using var client = new UdsClient(new UdsTransportOptions { SocketPath = server.SocketPath });
        byte[] large = new byte[1 << 20];
        Random.Shared.NextBytes(large);
        await Watchdog.WaitAsync(Task.WhenAll(Enumerable.Range(0, 50).Select(i => client.SetAsync($"k{i}", large).AsTask())));
        ReadOnlyMemory<byte>?[] values =
            await Watchdog.WaitAsync(Task.WhenAll(Enumerable.Range(0, 50).Select(i => client.GetAsync($"k{i}").AsTask())));
        foreach (ReadOnlyMemory<byte>? value in values) Assert.That(value!.Value.Span.SequenceEqual(large), Is.True);
    }

    [Test]
    public async Task What_the_server_refuses_is_an_exception_with_its_words()
    {
        using var server = new TestServer(new UdsServerOptions { MaxTotalBytes = 2_000, MaxConnections = 1 });
        await using var client = new UdsClient(new UdsTransportOptions { SocketPath = server.SocketPath });
        Assert.That(async () => await client.SetAsync("k", new byte[4_000]),
            Throws.InstanceOf<ServerRefusedException>().With.Property("Code").EqualTo("TOOBIG").And.Message.Contains("2,000"));
        Assert.That(async () => await client.SetAsync("a b", default), Throws.ArgumentException);
        Assert.That(async () => await client.ListAsync("a b"), Throws.ArgumentException);
        await using var second = new UdsClient(new UdsTransportOptions { SocketPath = server.SocketPath });
        Assert.That(async () => await second.GetAsync("k"),
            Throws.InstanceOf<ServerRefusedException>().With.Property("Code").EqualTo("BUSY"));
        await client.DisposeAsync();
        Assert.That(async () => await client.GetAsync("k"), Throws.InstanceOf<ObjectDisposedException>());
    }

    [Test]
    public async Task Messages_and_progress_are_received_by_pattern()
    {
        using var server = new TestServer();
        await using var client = new UdsClient(new UdsTransportOptions { SocketPath = server.SocketPath });
        await using UdsSubscription messages = await client.SubscribeAsync("news.*");
        await using IStoreWatch watch = await client.WatchAsync("*.progress");
        await client.PublishAsync("other", "0"u8.ToArray());
        await client.PublishAsync("news.a", new byte[] { 0, 255 });
        await client.ProgressAsync("build", 1, 2, "half");
        await client.ProgressAsync("build", 2.5, null);
        await using IAsyncEnumerator<UdsMessage> heard = messages.GetAsyncEnumerator();
        Assert.That(await Watchdog.WaitAsync(heard.MoveNextAsync()), Is.True);
        Assert.That((heard.Current.Topic, heard.Current.Bytes.ToArray(), heard.Current.Lost),
            Is.EqualTo(("news.a", new byte[] { 0, 255 }, 0L)));
        await using IAsyncEnumerator<StoreChange> progress = watch.GetAsyncEnumerator();
        Assert.That(await NextAsync(progress), Is.EqualTo("Set build.progress {\"current\":1,\"total\":2,\"text\":\"half\"}"));
        Assert.That(await NextAsync(progress), Is.EqualTo("Set build.progress {\"current\":2.5,\"total\":null}"));
        Assert.That(async () => await client.ProgressAsync("build", 1, 2, "a\nb"), Throws.ArgumentException);
        Assert.That(async () => await client.ProgressAsync("build", double.NaN), Throws.ArgumentException);
        ValueTask<bool> next = heard.MoveNextAsync();
        await messages.DisposeAsync();
        Assert.That(await Watchdog.WaitAsync(next), Is.False);
    }

    [Test]
    public async Task A_rejected_client_receives_the_reason_whatever_it_was_about_to_ask()
    {
        using var server = new TestServer(new UdsServerOptions { MaxConnections = 1 });
        WireClient only = server.Connect();
        only.Ask("PING");
        for (int i = 0; i < 300; i++)
        {
            await using var client =
                new UdsClient(new UdsTransportOptions { SocketPath = server.SocketPath, ConnectTimeout = TimeSpan.Zero });
            Assert.That(async () =>
                await (i % 3 == 0 ? client.GetAsync("k").AsTask()
                : i % 3 == 1 ? (Task)client.WatchAsync("k").AsTask() : client.SubscribeAsync("k").AsTask()),
                Throws.InstanceOf<ServerRefusedException>().With.Property("Code").EqualTo("BUSY"));
        }
    }

    [Test]
    public async Task A_server_with_more_callers_than_it_takes_in_is_waited_for_and_one_that_is_not_there_is_not()
    {
        using var directory = new TestDirectory();
        var options = new UdsTransportOptions { SocketPath = directory.SocketPath, ConnectTimeout = TimeSpan.Zero };
        await using var client = new UdsClient(options);
        Assert.That(async () => await client.GetAsync("k"),
            Throws.InstanceOf<ServerNotFoundException>().With.Message.Contains("there is no such socket"));
        await using var nowhere = new UdsClient(options with { SocketPath = Path.Combine(directory.Path, "no", "where") });
        Assert.That(async () => await nowhere.GetAsync("k"),
            Throws.InstanceOf<ServerNotFoundException>().With.Message.Contains("there is no such socket"));
        using (var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            listener.Bind(new UnixDomainSocketEndPoint(directory.SocketPath));
            listener.Listen(1);
            using var callers = new Callers(directory.SocketPath);
            using var stop = new CancellationTokenSource(300);
            Assert.That(async () => await client.GetAsync("k", stop.Token), Throws.InstanceOf<OperationCanceledException>());
            // There is room again: it gets through, and is told nothing.
            ValueTask<ReadOnlyMemory<byte>?> asking = client.GetAsync("k");
            callers.Dispose();
            byte[] asked = new byte[WireClient.Frame(2, "k"u8.ToArray()).Length];
            while (true)
            {
                using Socket caller = await Watchdog.WaitAsync(listener.AcceptAsync());
                if (await Watchdog.WaitAsync(caller.ReceiveAsync(asked)) == asked.Length) break;
            }

            listener.Dispose();
            Assert.That(async () => await Watchdog.WaitAsync(asking), Throws.InstanceOf<IOException>());
        }

        Assert.That(ExternalProgram.Python(directory.SocketPath,
            "import os, socket\nsocket.socket(socket.AF_UNIX).bind(os.environ['OTTO_SOCKET'])").Code, Is.Zero);
        Assert.That(async () => await client.GetAsync("k"),
            Throws.InstanceOf<ServerNotFoundException>().With.Message.Contains("no server listens there"));
        File.Delete(directory.SocketPath);
    }

    /// <summary>As many as a listener has room for.</summary>
    private sealed class Callers : IDisposable
    {
        private readonly List<Socket> _sockets = [];

        public Callers(string path)
        {
            while (true)
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
                _sockets.Add(socket);
                try
                {
                    socket.Connect(new UnixDomainSocketEndPoint(path));
                }
                catch (SocketException e) when (e.SocketErrorCode == SocketError.WouldBlock)
                {
                    return;
                }
            }
        }

        public void Dispose()
        {
            foreach (Socket socket in _sockets) socket.Dispose();
        }
    }

    private static UdsTransport Transport(string path) =>
        new(new UdsTransportOptions { SocketPath = path, ConnectTimeout = Watchdog.Limit });

    private static async Task<string> NextAsync(IAsyncEnumerator<StoreChange> news)
    {
        Assert.That(await Watchdog.WaitAsync(news.MoveNextAsync()), Is.True);
        StoreChange change = news.Current;
        return $"{change.Kind} {change.Key} {Encoding.UTF8.GetString(change.Value.Span)}";
    }
}
