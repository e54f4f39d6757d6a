using Otto.Queue.Conformance;
using Otto.Queue.Redis.Tests.Support;

namespace Otto.Queue.Redis.Tests;

// The suite over Redis.

[Parallelizable]
public sealed class RedisTaskTests : TaskConformance
{
    protected override async Task<IRouteHarness> CreateHarnessAsync() => new RedisHarness(await SharedServer.GetAsync());

    private sealed class RedisHarness(RedisServer server) : IRouteHarness
    {
        public bool JoinsProcesses => true;

        public bool KeepsDeadLetters => true;

        public bool CountsAttemptsOfTheDead => true;

        public Durability Durability => Durability.Cluster;

        public TaskQueueOptions MakeOptions() =>
            new TaskQueueOptions().UseInProcess(static o => o.Enabled = false).UseSharedMemory(static s => s.Enabled = false).UseRedis(
                server.Configuration);

        public ValueTask DisposeAsync() => default;
    }
}
