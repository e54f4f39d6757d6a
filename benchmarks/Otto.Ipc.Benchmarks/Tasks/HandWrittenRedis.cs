using StackExchange.Redis;

namespace Otto.Ipc.Benchmarks.Tasks;

// What one would write by hand on the same client: XADD a task, one XREADGROUP and one XACK with XDEL a task, asleep until a nudge comes.
// Nothing is reclaimed, delayed, counted or refused.

internal sealed class HandWrittenRedis(ConnectionMultiplexer connection) : IAsyncDisposable
{
    private const string Stream = "bench:hand", Group = "workers", Nudge = "bench:nudge";
    private static readonly TimeSpan Fallback = TimeSpan.FromMilliseconds(100);

    private readonly IDatabase _database = connection.GetDatabase();
    private readonly CancellationTokenSource _stop = new();
    private Task _working = Task.CompletedTask;

    public static async Task<HandWrittenRedis> ConnectAsync()
    {
        ConfigurationOptions options = ConfigurationOptions.Parse(Environment.GetEnvironmentVariable(TaskPlan.RedisVariable)!);
        return new HandWrittenRedis(await ConnectionMultiplexer.ConnectAsync(options));
    }

    /// <summary>Sends one task.</summary>
    public async Task SendAsync(byte[] task)
    {
        Task<RedisResult> added = _database.ExecuteAsync("XADD", Stream, "*", "m", task);
        // On the same connection, so it arrives behind the task; its answer matters to nobody.
        _ = _database.ExecuteAsync("PUBLISH", Nudge, "");
        await added;
    }

    /// <summary>Works until disposed.</summary>
    public async Task<HandWrittenRedis> StartAsync(TaskSink sink)
    {
        try
        {
            await _database.ExecuteAsync("XGROUP", "CREATE", Stream, Group, "0", "MKSTREAM");
        }
        catch (RedisServerException e) when (e.Message.StartsWith("BUSYGROUP", StringComparison.Ordinal))
        {
            // From an earlier run.
        }

        var nudged = new SemaphoreSlim(0, 1);
        await connection.GetSubscriber().SubscribeAsync(new RedisChannel(Nudge, RedisChannel.PatternMode.Literal), (_, _) =>
        {
            if (nudged.CurrentCount == 0) nudged.Release();
        });
        _working = Task.Run(() => WorkAsync(sink, nudged));
        return this;
    }

    private async Task WorkAsync(TaskSink sink, SemaphoreSlim nudged)
    {
        while (!_stop.IsCancellationRequested)
        {
            RedisResult read = await _database.ExecuteAsync("XREADGROUP", "GROUP", Group, "me", "COUNT", "1", "STREAMS", Stream, ">");
            if (read.IsNull)
            {
                await nudged.WaitAsync(Fallback);
                continue;
            }

            var entry = (RedisResult[])((RedisResult[])((RedisResult[])((RedisResult[])read!)[0]!)[1]!)[0]!;
            string id = (string)entry[0]!;
            await sink.Take((byte[])((RedisResult[])entry[1]!)[1]!);
            Task<RedisResult> acknowledged = _database.ExecuteAsync("XACK", Stream, Group, id);
            await _database.ExecuteAsync("XDEL", Stream, id);
            await acknowledged;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _working;
        _stop.Dispose();
        await connection.CloseAsync();
    }
}
