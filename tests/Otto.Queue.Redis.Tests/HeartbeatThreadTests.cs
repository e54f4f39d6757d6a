using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;
using StackExchange.Redis;

namespace Otto.Queue.Redis.Tests;

/// <summary>The thread on which the queues of a connection beat: whatever one beat throws, the process lives and the
/// others beat.</summary>
[Parallelizable]
internal sealed class HeartbeatThreadTests
{
    [Test]
    public async Task A_beat_that_throws_ends_neither_the_process_nor_the_other_beats()
    {
        ConfigurationOptions configuration = ConfigurationOptions.Parse($"127.0.0.1:{RedisServer.FreePort()},abortConnect=false");
        await using ConnectionMultiplexer multiplexer = await ConnectionMultiplexer.ConnectAsync(configuration);
        HeartbeatThread thread = new(new DirectConnections(multiplexer, configuration, TimeSpan.FromSeconds(1)));
        int thrown = 0, beaten = 0;
        Action<DirectConnections> broken = _ =>
        {
            Interlocked.Increment(ref thrown);
            throw new InvalidOperationException("a reply that makes no sense");
        };

        thread.Add(broken, TimeSpan.FromMilliseconds(1));
        thread.Add(_ => Interlocked.Increment(ref beaten), TimeSpan.FromMilliseconds(1));

        await Eventually.Holds(() => Volatile.Read(ref thrown) > 10 && Volatile.Read(ref beaten) > 10);
        await thread.RemoveAsync(broken).Soon();
        thread.End();
    }
}
