using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Uds.Tests.Server;

// What a server says of itself. Each test provokes it with a client that is connected by a real socket.

internal sealed class ServerLogTests
{
    [Test]
    public void An_internal_failure_that_closes_a_client_is_logged_as_an_error_with_its_exception()
    {
        using var directory = new TestDirectory();
        using var log = new RecordingLoggerFactory();
        using UdsServer server = UdsServer.Start(new UdsServerOptions { SocketPath = directory.SocketPath, LoggerFactory = log });
        using var client = new WireClient(directory.SocketPath);
        Assert.That(client.Ask("PING"), Is.EqualTo("PONG"));
        int failures = 1;
        server.Loop.BeforeServe = () =>
        {
            if (Interlocked.Decrement(ref failures) == 0) throw new InvalidOperationException("a planted bug");
        };
        client.Send("PING\n");
        Assert.That(client.ReadToEnd(), Is.Empty, "the client was closed without an answer");
        Watchdog.Until(() => !log.Entries.IsEmpty, "the server logged it");
        LogEntry entry = log.Entries.Single();
        Assert.Multiple(() =>
        {
            Assert.That((entry.Category, entry.Id, entry.Level), Is.EqualTo(("Otto.Ipc.Uds.UdsServer", 1, LogLevel.Error)));
            Assert.That(entry.Exception?.Message, Is.EqualTo("a planted bug"));
            Assert.That(server.Loop.Failures, Is.EqualTo(1));
        });
        using var other = new WireClient(directory.SocketPath);
        Assert.That(other.Ask("PING"), Is.EqualTo("PONG"), "the others are served");
    }

    [Test]
    public void Otto_serve_writes_an_internal_failure_to_standard_error_as_one_line()
    {
        using var directory = new TestDirectory();
        using var output = new StringWriter();
        using var log = new Tools.Server.StandardErrorLog(TextWriter.Synchronized(output));
        using UdsServer server = UdsServer.Start(new UdsServerOptions { SocketPath = directory.SocketPath, LoggerFactory = log });
        server.Loop.BeforeServe = static () => throw new InvalidOperationException("a planted\nbug");
        using var client = new WireClient(directory.SocketPath);
        client.Send("PING\n");
        Assert.That(client.ReadToEnd(), Is.Empty, "the client was closed without an answer");
        server.Dispose();
        Assert.That(output.ToString(),
            Is.EqualTo("otto: Serving a client failed unexpectedly; its connection was closed, the server continues: "
                + "InvalidOperationException: a planted bug" + Environment.NewLine));
    }

    [Test]
    public void A_rejected_client_is_logged_with_the_reason_that_it_received()
    {
        using var log = new RecordingLoggerFactory();
        using var server = new TestServer(new UdsServerOptions { MaxConnections = 1, LoggerFactory = log });
        Assert.That(server.Connect().Ask("PING"), Is.EqualTo("PONG"));
        string answer = server.Connect().ReadToEnd();
        Assert.That(answer, Is.EqualTo("ERROR: BUSY 1 clients are connected, the most there may be\n"));
        LogEntry entry = log.Entries.Single();
        Assert.That((entry.Id, entry.Level, entry.Message),
            Is.EqualTo((3, LogLevel.Warning, "A client was rejected: BUSY 1 clients are connected, the most there may be")));
    }

    [Test]
    public void An_evicted_slow_subscriber_is_logged_with_what_it_had_not_read()
    {
        using var log = new RecordingLoggerFactory();
        using var server = new TestServer(
            new UdsServerOptions { SlowSubscriberTimeout = TimeSpan.FromMilliseconds(200), LoggerFactory = log });
        WireClient watcher = server.Connect(), writer = server.Connect();
        watcher.Ask("SUBSCRIBE *");
        string filler = new('x', 100_000);
        for (int i = 0; i < 30; i++) writer.Ask($"SET k{i} \"{filler}\"");
        Watchdog.Until(() => !log.Entries.IsEmpty, "the subscriber is found too slow");
        LogEntry entry = log.Entries.Single();
        Assert.That((entry.Id, entry.Level), Is.EqualTo((4, LogLevel.Warning)));
        Assert.That(entry.Message, Does.Match("too slowly; [1-9][0-9]* bytes were unread$"));
        Assert.That(watcher.ReadToEnd(), Does.Contain("ERROR: SLOW "));
    }

    [Test]
    public void A_server_that_serves_as_it_should_logs_nothing()
    {
        using var log = new RecordingLoggerFactory();
        using (var server = new TestServer(new UdsServerOptions { LoggerFactory = log }))
        {
            Assert.That(server.Ask("SET a 1\nGET a\nNONSENSE\n"), Does.StartWith("OK\n1\nERROR: BADCMD "));
        }

        Assert.That(log.Entries, Is.Empty);
    }

    private sealed record LogEntry(string Category, int Id, LogLevel Level, string Message, Exception? Exception);

    private sealed class RecordingLoggerFactory : ILoggerFactory
    {
        public ConcurrentQueue<LogEntry> Entries { get; } = new();

        public ILogger CreateLogger(string categoryName) => new RecordingLogger(categoryName, Entries);

        public void AddProvider(ILoggerProvider provider) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }

    private sealed class RecordingLogger(string category, ConcurrentQueue<LogEntry> entries) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) =>
            entries.Enqueue(new LogEntry(category, eventId.Id, logLevel, formatter(state, exception), exception));
    }
}
