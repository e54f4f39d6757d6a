using Otto.Queue.Conformance;
using Otto.Queue.Redis.Tests.Support;

namespace Otto.Queue.Redis.Tests;

// The suite over Redis.

[Parallelizable]
public sealed class RedisTasks : TaskConformance
{
    protected override async Task<IRouteHarness> CreateHarnessAsync() => new RedisHarness(await SharedServer.GetAsync());

    private sealed class RedisHarness(RedisServer server) : IRouteHarness
    {
        public bool JoinsProcesses => true;

        public bool KeepsDeadLetters => true;

        public bool CountsAttemptsOfTheDead => true;

        public Durability Durability => Durability.Cluster;

        public TaskQueueOptions MakeOptions() => new TaskQueueOptions().InProcess(static o => o.Enabled = false).SharedMemory(static s => s.Enabled = false).Redis(server.Configuration);

        public ValueTask DisposeAsync() => default;
    }
}
