using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;
using StackExchange.Redis;

namespace Otto.Queue.Redis.Tests;

/// <summary>What a server's configuration and state may cost is found at start and after each reconnect, and told
/// once in the log, by the health check and by the status of the route.</summary>
internal sealed class ServerFindingsTests : RedisTest
{
    private const string Safe = "appendonly yes\nappendfsync no\n";

    private RedisServer _own = null!;

    // Each test configures its own.
    protected override Task<RedisServer> GetServerAsync() => Task.FromResult<RedisServer>(null!);

    [TestCase("", "persistence", "keeps nothing on disk")]
    [TestCase("save 3600 1\n", "snapshots", "keeps snapshots only (appendonly no, save \"3600 1\")")]
    [TestCase(Safe + "maxmemory-policy allkeys-lru\n", "eviction", "whole queues may vanish")]
    [TestCase(Safe + "maxmemory-policy volatile-ttl\nmaxmemory 500mb\n", "eviction", "results may vanish")]
    [TestCase(Safe + "maxmemory 1mb\n", "memory", "of 1,048,576 bytes of maxmemory")]
    [TestCase(Safe + "rename-command INFO \"\"\n", "unknown", "refuses INFO")]
    [TestCase("rename-command CONFIG \"\"\n", "unknown", "refuses CONFIG")]
    public async Task What_is_unsafe_is_told_by_log_health_and_status(string configuration, string code, string text)
    {
        _own = await RedisServer.StartAsync(more: configuration);
        using Lines log = new();
        (TaskQueue queue, HealthReportEntry health) = await StartAsync(log);

        RouteWarning warning = (await queue.ExplainRouteAsync(Name)).Routes[^1].Warnings.Single();
        Assert.That((warning.Code, warning.IsDegrading), Is.EqualTo((code, code != "unknown")));
        Assert.That(warning.Text, Does.Contain(text).And.Contain($"127.0.0.1:{_own.Port}"));
        Assert.That(health.Status, Is.EqualTo(code == "unknown" ? HealthStatus.Healthy : HealthStatus.Degraded));
        Assert.That(health.Description, code == "unknown" ? Is.Empty : Does.Contain(warning.Text));
        Assert.That(health.Data[$"{Name}/Redis/{code}"], Is.EqualTo(warning.Text));
        Assert.That(log.Warnings(43), Is.EqualTo(new[] { $"Queue '{Name}' on Redis: {warning.Text}" }), "once, for two queues");
    }

    [Test]
    public async Task A_server_that_keeps_what_it_accepts_is_well()
    {
        _own = await RedisServer.StartAsync(persistent: true);
        using Lines log = new();
        (TaskQueue queue, HealthReportEntry health) = await StartAsync(log);
        Assert.That((await queue.ExplainRouteAsync(Name)).Routes[^1].Warnings, Is.Empty);
        Assert.That((health.Status, log.Warnings(43)), Is.EqualTo((HealthStatus.Healthy, Array.Empty<string>())));
    }

    [Test]
    public async Task What_changed_while_the_server_was_away_is_found_when_it_is_back()
    {
        _own = await RedisServer.StartAsync(persistent: true);
        using Lines log = new();
        (TaskQueue queue, _) = await StartAsync(log);
        _own.Kill();
        _own.Configure("maxmemory-policy allkeys-lru");
        await _own.StartAgainAsync();

        await Eventually.Holds(() => log.Warnings(43).Length == 1);
        Assert.That((await queue.ExplainRouteAsync(Name)).Routes[^1].Warnings.Single().Code, Is.EqualTo("eviction"));
        _own.Kill();
        await _own.StartAgainAsync();
        await Eventually.Holds(() => log.Warnings(14).Length >= 2);
        Assert.That(log.Warnings(43), Has.Length.EqualTo(1), "still known");
    }

    [Test]
    public async Task A_server_that_hangs_while_it_is_checked_is_not_said_to_refuse_anything()
    {
        _own = await RedisServer.StartAsync(persistent: true, "maxmemory-policy allkeys-lru\n");
        await using RedisClient client = await RedisClient.ConnectAsync(_own.Configuration, TimeSpan.FromMilliseconds(500));
        await client.CheckServersAsync(new RedisRouteOptions(), again: false);
        _own.Pause();
        await client.CheckServersAsync(new RedisRouteOptions(), again: true);
        _own.Resume();
        Assert.That(client.Warnings.Select(static w => w.Code), Is.EqualTo((string[])["eviction"]), "what was known before");
    }

    [Test]
    public async Task A_replica_is_named_and_refuses_clearly_and_its_master_is_told_what_a_fail_over_costs()
    {
        _own = await RedisServer.StartAsync(persistent: true);
        using RedisServer replica = await RedisServer.StartReplicaAsync(_own);
        await Eventually.Holds(() => _own.AskAsync("WAIT 1 100").Result == ":1");
        TaskQueue master = Make(Own().AddProducer<Job>(Name));
        await master.EnqueueAsync(new Job(1));
        RouteWarning replication = (await master.ExplainRouteAsync(Name)).Routes[^1].Warnings.Single();
        Assert.That(replication.Code, Is.EqualTo("replication"), replication.Text);

        TaskQueue queue = Make(Options().UseRedis(replica.Configuration).AddProducer<Job>(Name));
        RouteStatus status = (await queue.ExplainRouteAsync(Name)).Routes[^1];
        Assert.That(status.Warnings.Select(static w => w.Code), Does.Contain("replica"));
        Assert.That(status.Error, Does.Contain("replica"));
        Assert.That((await queue.EnqueueAsync(new Job(1))).Route, Is.EqualTo(RouteName.SharedMemory), "what may go elsewhere does");

        // It is made the master: what waited for one goes there.
        Task<TaskReceipt> waiting = queue.EnqueueAsync(new Job(2), new() { Durability = Durability.Cluster }).AsTask();
        Assert.That(await replica.AskAsync("REPLICAOF NO ONE"), Is.EqualTo("+OK"));
        Assert.That((await waiting.Soon()).Route, Is.EqualTo(RouteName.Redis));
    }

    [Test]
    public async Task A_connection_of_the_program_without_admin_rights_finds_what_a_script_may_ask()
    {
        _own = await RedisServer.StartAsync(persistent: true, "maxmemory-policy allkeys-lru\n");
        await using ConnectionMultiplexer own = await ConnectionMultiplexer.ConnectAsync(_own.Configuration);
        TaskQueue queue = Make(InProcessOnly().UseRedis(own).AddProducer<Job>(Name));
        Assert.That((await queue.ExplainRouteAsync(Name)).Routes[^1].Warnings.Single().Code, Is.EqualTo("eviction"));
    }

    [Test]
    public async Task A_warning_that_was_accepted_is_not_told()
    {
        _own = await RedisServer.StartAsync();
        TaskQueue queue = Make(Own(static o => o.AcceptedWarnings = ["persistence"]).AddProducer<Job>(Name));
        Assert.That((await queue.ExplainRouteAsync(Name)).Routes[^1].Warnings, Is.Empty);
        Assert.That(() => Own(static o => o.AcceptedWarnings = ["persistance"]),
            Throws.ArgumentException.With.Message.Contains("'persistance'; known: persistence, "));
    }

    [TestCase("redis_version:6.0.16", "version", "is Redis 6.0.16, and 6.2 or later is needed")]
    [TestCase("role:slave\nmaster_host:10.0.0.1\nmaster_port:6379", "replica", "is a replica of 10.0.0.1:6379")]
    [TestCase("role:master\nconnected_slaves:1\nmin_slaves_good_slaves:1\nslave0:ip=10.0.0.2,port=6379,state=online,offset=1,lag=60", "lag",
        "10.0.0.2:6379 is online and 60 s behind")]
    [TestCase("role:master\nconnected_slaves:2", "replication", "has 2 replicas")]
    [TestCase("aof_enabled:1\naof_last_write_status:err", "persistence", "could not write its data to disk")]
    [TestCase("used_memory:950\nmaxmemory:0\ntotal_system_memory:1000", "memory", "950 of 1,000 bytes of its machine's memory")]
    public void What_a_server_says_of_itself_is_judged(string info, string code, string text)
    {
        RouteWarning warning = ServerFindings.Of("10.0.0.1:6379", info, "", null, 0).Single();
        Assert.That((warning.Code, warning.Text), Is.EqualTo((code, warning.Text)));
        Assert.That(warning.Text, Does.Contain(text));
        Assert.That(ServerFindings.Codes, Does.Contain(code));
    }

    [Test]
    public void Fewer_replicas_than_a_task_waits_for_are_told()
    {
        Assert.That(ServerFindings.Of("10.0.0.1:6379", "role:master\nconnected_slaves:0", "", null, 1).Single().Text,
            Does.Contain("has 0 connected replicas, and Redis.MinReplicas asks for 1"));
        Assert.That(ServerFindings.Of("10.0.0.1:6379", "role:master\nconnected_slaves:0", "", null, 0), Is.Empty);
    }

    private TaskQueueOptions Own(Action<RedisRouteOptions>? configure = null) => InProcessOnly().UseRedis(
        _own is { } own ? own.Configuration : "localhost", configure);

    private async Task<(TaskQueue Queue, HealthReportEntry Health)> StartAsync(Lines log)
    {
        ServiceCollection services = new();
        services.AddLogging(l => l.AddProvider(log));
        services.AddOttoQueue(o => o.UseSharedMemory(static s => s.Enabled = false).UseRedis(_own.Configuration)
            .AddProducer<Job>(Name).AddProducer<string>($"{Name}-2")).AddHealthCheck();
        ServiceProvider provider = services.BuildServiceProvider();
        _providers.Add(provider);
        TaskQueue queue = provider.GetRequiredService<TaskQueue>();
        await queue.StartAsync();
        return (queue, (await provider.GetRequiredService<HealthCheckService>().CheckHealthAsync()).Entries["otto-queue"]);
    }

    private readonly List<ServiceProvider> _providers = [];

    [TearDown]
    public async Task CloseAndStop()
    {
        foreach (ServiceProvider provider in _providers) await provider.DisposeAsync();
        _providers.Clear();
        _own?.Dispose();
        _own = null!;
    }

    private sealed class Lines : ILoggerProvider, ILogger
    {
        private readonly System.Collections.Concurrent.ConcurrentQueue<(int Event, string Text)> _lines = new();

        internal string[] Warnings(int id) => [.. _lines.Where(l => l.Event == id).Select(static l => l.Text)];

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter) => _lines.Enqueue((eventId.Id, formatter(state, exception)));

        public void Dispose()
        {
        }
    }
}
