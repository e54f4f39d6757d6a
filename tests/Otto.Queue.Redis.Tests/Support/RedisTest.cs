using Otto.Ipc;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests.Support;

/// <summary>A test with a server, a queue name of its own, and a check that nothing of that queue is left.</summary>
internal abstract class RedisTest : QueueTest
{
    /// <summary>A name that no other test uses.</summary>
    protected string Name { get; private set; } = "";

    protected RedisServer Server { get; private set; } = null!;

    [SetUp]
    public async Task GetServer()
    {
        Name = $"q-{Guid.NewGuid():n}";
        Server = await GetServerAsync();
    }

    protected virtual Task<RedisServer> GetServerAsync() => SharedServer.GetAsync();

    /// <summary>Options with Redis and nothing else beyond the process.</summary>
    protected TaskQueueOptions RedisOnly(Action<RedisRouteOptions>? configure = null, TimeProvider? time = null) =>
        InProcessOnly(time).UseRedis(Server.Configuration, Quick + configure);

    /// <summary>Options with all three routes.</summary>
    protected TaskQueueOptions AllRoutes(Action<RedisRouteOptions>? configure = null) =>
        Options().UseRedis(Server.Configuration, Quick + configure);

    /// <summary>Bare channels, as a route opens them.</summary>
    internal async Task<RedisTaskChannel> OpenAsync(Action<RedisRouteOptions>? configure = null, string? name = null)
    {
        RedisRouteOptions options = new() { Configuration = Server.Configuration };
        (Quick + configure)(options);
        RedisRoute route = new(options, static o => RedisClient.ConnectAsync(o.Configuration, o.CommandTimeout));
        RedisTaskChannel channel = (RedisTaskChannel)await route.OpenAsync(name ?? Name, CancellationToken.None);
        _channels.Add(channel);
        return channel;
    }

    private readonly List<TaskChannel> _channels = [];

    [TearDown]
    public async Task CloseChannels()
    {
        foreach (TaskChannel channel in _channels) await channel.DisposeAsync();
        _channels.Clear();
    }

    // Leases short enough for tests to see them end.
    private static readonly Action<RedisRouteOptions> Quick = static o => o.LeaseTime = TimeSpan.FromSeconds(1.5);

    internal sealed class Taker(int slots = 8) : ITaskConsumer
    {
        internal System.Collections.Concurrent.ConcurrentQueue<TaskId> Lost { get; } = new();

        public int AvailableWorkers => slots;

        public void OnLeaseLost(TaskId id) => Lost.Enqueue(id);
    }
}

internal static class ChannelSupport
{
    internal static async Task<WorkLease> LeaseAsync(this TaskChannel channel)
    {
        WorkLease lease;
        while (!channel.TryLease(out lease)) await channel.WaitToLeaseAsync(CancellationToken.None).AsTask().Soon();
        return lease;
    }
}
