using Otto.Queue.Redis;
using StackExchange.Redis;

// In this namespace, so that UseRedis is found wherever a queue is configured.
namespace Otto.Queue;

/// <summary>Adds Redis to a queue's routes.</summary>
public static class RedisTaskQueueOptionsExtensions
{
    /// <summary>Uses Redis for work that leaves the machine: 6.2 or later, tested with 7.0.15.</summary>
    /// <param name="options">The queue's options.</param>
    /// <param name="configuration">Where the server is, in StackExchange.Redis's words:
    /// <c>localhost:6379</c>, <c>host:6380,ssl=true,password=...</c>.</param>
    /// <param name="configure">Bounds and times.</param>
    /// <returns>The options.</returns>
    /// <remarks>The queue waits for a server that is not there yet or becomes unavailable: producers wait or use
    /// another route, and workers continue when it is back.</remarks>
    public static TaskQueueOptions UseRedis(this TaskQueueOptions options, string configuration,
        Action<RedisRouteOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentException.ThrowIfNullOrEmpty(configuration);
        RedisRouteOptions route = new() { Configuration = configuration };
        configure?.Invoke(route);
        route.Check();
        return options.AddRoute(new RedisRoute(route, static o => RedisClient.ConnectAsync(o.Configuration, o.CommandTimeout)));
    }

    /// <summary>Uses Redis over a connection that the program has already.</summary>
    /// <param name="options">The queue's options.</param>
    /// <param name="connection">The connection; never disposed here.</param>
    /// <param name="configure">Bounds and times.</param>
    /// <returns>The options.</returns>
    public static TaskQueueOptions UseRedis(this TaskQueueOptions options, IConnectionMultiplexer connection,
        Action<RedisRouteOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(options);
        ArgumentNullException.ThrowIfNull(connection);
        RedisRouteOptions route = new();
        configure?.Invoke(route);
        route.Check();
        return options.AddRoute(new RedisRoute(route, o => Task.FromResult(new RedisClient(connection, owned: false, o.CommandTimeout))));
    }

    /// <summary>Uses Redis for work that leaves the machine: 6.2 or later, tested with 7.0.15.</summary>
    /// <param name="builder">The hosted queue.</param>
    /// <param name="configuration">The server, as StackExchange.Redis writes it.</param>
    /// <param name="configure">Sets bounds and times.</param>
    /// <returns>The builder.</returns>
    /// <inheritdoc cref="UseRedis(TaskQueueOptions, string, Action{RedisRouteOptions})" path="/remarks"/>
    public static OttoQueueBuilder UseRedis(this OttoQueueBuilder builder, string configuration,
        Action<RedisRouteOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Configure(options => options.UseRedis(configuration, configure));
    }

    /// <summary>Uses Redis over a connection that the program has already.</summary>
    /// <param name="builder">The hosted queue.</param>
    /// <param name="connection">The connection; never disposed here.</param>
    /// <param name="configure">Sets bounds and times.</param>
    /// <returns>The builder.</returns>
    public static OttoQueueBuilder UseRedis(this OttoQueueBuilder builder, IConnectionMultiplexer connection,
        Action<RedisRouteOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Configure(options => options.UseRedis(connection, configure));
    }
}
