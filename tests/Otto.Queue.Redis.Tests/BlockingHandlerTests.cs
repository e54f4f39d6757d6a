using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Handlers that block every thread of the pool: their worker is alive, and nobody else may get what it holds.</summary>
internal sealed class BlockingHandlerTests : RedisTest
{
    [Test]
    public async Task Leases_are_renewed_while_handlers_block_the_thread_pool_for_several_lease_times()
    {
        const int Tasks = 400, Enough = 80;
        string redis = $"redis:{Server.Configuration}"; // Leases of 1.5 s.
        Dictionary<string, string> small = new() { ["DOTNET_PROCESSOR_COUNT"] = "2" };
        TaskQueue producer = Make(RedisOnly().AddProducer<byte[]>(Name));
        await producer.EnqueueManyAsync(Enumerable.Range(0, Tasks).Select(BitConverter.GetBytes));
        using PeerProcess one = PeerProcess.Start(small, "block", redis, Name, "6000"),
            other = PeerProcess.Start(small, "block", redis, Name, "6000");

        await Eventually.Holds(() => one.Said("done") + other.Said("done") >= Enough || Again() > 0 || Lost() > 0
            || one.HasExited || other.HasExited);

        Assert.That((Again(), Lost()), Is.EqualTo((0, 0)), string.Join('\n', one.Lines.Concat(other.Lines)));
        Assert.That((one.HasExited, other.HasExited), Is.EqualTo((false, false)));

        int Again() => one.Lines.Concat(other.Lines).Count(static l => l.StartsWith("started") && !l.EndsWith("attempt 1"));
        int Lost() => one.Said("lost") + other.Said("lost");
    }
}
