using Microsoft.Extensions.Configuration;
using Otto.Ipc;

namespace Otto.Queue.Redis;

// Redis as a route: one connection for all queues, made when the first is opened, and closed with the last.

internal sealed class RedisRoute(RedisRouteOptions options, Func<RedisRouteOptions, Task<RedisClient>> connect) : ITaskRoute
{
    private readonly Lock _lock = new();
    private Task<RedisClient>? _client;
    private int _users;

    public Route Route => Route.Redis;

    public Durability Durability => Durability.Cluster;

    public int Weight => options.Weight;

    public QueueFullMode FullMode => options.FullMode;

    public string NoWorkerReason => "no worker is known on this machine: Redis keeps it";

    public void Configure(IConfiguration section) => options.Apply(section);

    public async ValueTask<TaskChannel> OpenAsync(ChannelName queue, CancellationToken cancellationToken)
    {
        options.Check();
        Task<RedisClient> connecting;
        lock (_lock)
        {
            if (_client is null or { IsFaulted: true }) _client = connect(options);
            connecting = _client;
            _users++;
        }

        bool left = false;
        try
        {
            RedisClient client = await connecting.WaitAsync(cancellationToken).ConfigureAwait(false);
            return await RedisTaskChannel.OpenAsync(client, queue, options, LeaveOnceAsync).ConfigureAwait(false);
        }
        catch
        {
            await LeaveOnceAsync().ConfigureAwait(false);
            throw;
        }

        ValueTask LeaveOnceAsync() => Interlocked.Exchange(ref left, true) ? default : LeaveAsync();
    }

    private async ValueTask LeaveAsync()
    {
        Task<RedisClient>? last = null;
        lock (_lock)
        {
            if (--_users == 0) (last, _client) = (_client, null);
        }

        if (last is { IsCompletedSuccessfully: true }) await (await last.ConfigureAwait(false)).DisposeAsync().ConfigureAwait(false);
    }
}
