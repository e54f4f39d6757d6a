using System.Text;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Clients;

// The topic suite over a server, and what a topic over a connection adds.

[Parallelizable]
public sealed class UdsTopicTests : TopicConformance
{
    protected override bool KeepsMessages => false;

    protected override ITopicHarness CreateHarness() => new TopicHarness();

    private sealed class TopicHarness : ITopicHarness
    {
        private readonly TestServer _server = new();
        private readonly UdsTransport _transport;

        public TopicHarness() =>
            _transport = new UdsTransport(new UdsTransportOptions { SocketPath = _server.SocketPath, SubscriberMessages = 256 });

        public MessagePublisher OpenPublisher() => _transport.OpenPublisherAsync("news").AsTask().GetAwaiter().GetResult();

        public MessageSubscriber OpenSubscriber(StartPosition startAt) =>
            _transport.OpenSubscriberAsync("news", startAt).AsTask().GetAwaiter().GetResult();

        public void Dispose()
        {
            _transport.DisposeAsync().AsTask().Wait();
            _server.Dispose();
        }
    }
}

[Parallelizable]
[FixtureLifeCycle(LifeCycle.InstancePerTestCase)]
public sealed class TopicConnectionTests
{
    [Test]
    public async Task Shells_and_programs_receive_what_the_others_publish()
    {
        using var server = new TestServer();
        await using var transport = new UdsTransport(new UdsTransportOptions { SocketPath = server.SocketPath });
        using MessageSubscriber subscriber = await transport.OpenSubscriberAsync("news");
        using MessagePublisher publisher = await transport.OpenPublisherAsync("news");
        Assert.That(ExternalProgram.Bash(server.SocketPath,
            "printf 'SET news 0\\nPUBLISH news {\"a\":1}\\nPUBLISH news {\"$base64\":\"AAE=\"}\\nQUIT\\n' | nc -U $OTTO_SOCKET").Output,
            Is.EqualTo("OK\nOK\nOK\nOK\n"));
        Assert.That(Encoding.UTF8.GetString(Next(subscriber)), Is.EqualTo("{\"a\":1}"));
        Assert.That(Next(subscriber), Is.EqualTo(new byte[] { 0, 1 }));
        WireClient watcher = server.Connect();
        watcher.Ask("SUBSCRIBE news");
        publisher.TryPublish("\"hello\""u8);
        publisher.TryPublish([0, 1]);
        Assert.That(watcher.ReadLine(), Does.EndWith(" MESSAGE news \"hello\""));
        Assert.That(watcher.ReadLine(), Does.EndWith(" MESSAGE news {\"$base64\":\"AAE=\"}"));
    }

    [Test]
    public async Task A_subscriber_learns_of_the_gap_when_its_server_died_and_continues_with_the_successor()
    {
        using var directory = new TestDirectory();
        using RestartableServer server = new RestartableServer(directory.SocketPath);
        await using var transport =
            new UdsTransport(new UdsTransportOptions { SocketPath = directory.SocketPath, ConnectTimeout = Watchdog.Limit });
        using MessageSubscriber subscriber = await transport.OpenSubscriberAsync("news");
        using MessagePublisher publisher = await transport.OpenPublisherAsync("news");
        Assert.That(publisher.TryPublish("before"u8), Is.True);
        // Heard here before the server dies, taken only after it.
        await Watchdog.WaitAsync(subscriber.WaitToReceiveAsync());
        server.Restart();
        Assert.That(Encoding.UTF8.GetString(Next(subscriber)), Is.EqualTo("before"), "what came before the gap comes before it is told");
        Assert.That(subscriber.WaitToReceive(Watchdog.Limit), Is.True);
        Assert.Throws<SubscriberDisconnectedException>(() => subscriber.TryReceive(out _));
        Assert.Throws<SubscriberDisconnectedException>(() => subscriber.TryReceive(out _));
        Assert.That(subscriber.ResumeFrom(StartPosition.Oldest), Is.Zero);
        Watchdog.Until(
            () =>
            {
                try
                {
                    publisher.WaitToPublish(10, Watchdog.Limit);
                    publisher.TryPublish("after"u8);
                }
                catch (IOException)
                {
                    // Its connection was the dead server's still.
                }

                return subscriber.WaitToReceive(TimeSpan.FromMilliseconds(20));
            },
            "the subscriber hears again");
        Assert.That(Encoding.UTF8.GetString(Next(subscriber)), Is.EqualTo("after"));
    }

    [Test]
    public async Task A_publisher_says_when_what_it_published_may_be_lost()
    {
        using var directory = new TestDirectory();
        using RestartableServer server = new RestartableServer(directory.SocketPath);
        await using var transport =
            new UdsTransport(new UdsTransportOptions { SocketPath = directory.SocketPath, ConnectTimeout = TimeSpan.Zero });
        using MessagePublisher publisher = await transport.OpenPublisherAsync("news");
        ExternalProgram.Bash(directory.SocketPath, $"kill -STOP {server.Id}");
        for (int i = 0; i < 10; i++) Assert.That(publisher.TryPublish("x"u8), Is.True, "a server that is slow is not waited for");
        server.Kill();
        Watchdog.Until(
            () =>
            {
                try
                {
                    return publisher.TryPublish("x"u8) && false;
                }
                catch (IOException e)
                {
                    return e.Message.Contains("may have reached no subscriber", StringComparison.Ordinal);
                }
            },
            "the loss is said");
        Assert.That(publisher.TryPublish("x"u8), Is.False, "there is no server");
        Assert.That(() => publisher.WaitToPublish(1, Watchdog.Limit), Throws.InstanceOf<ServerNotFoundException>());
        server.Restart();
        Assert.That(publisher.WaitToPublish(1, Watchdog.Limit), Is.True);
        Assert.That(publisher.TryPublish("x"u8), Is.True);
    }

    private static byte[] Next(MessageSubscriber subscriber)
    {
        Assert.That(subscriber.WaitToReceive(Watchdog.Limit), Is.True);
        Assert.That(subscriber.TryReceive(out TopicFrame message), Is.True);
        return message.Bytes.ToArray();
    }
}
