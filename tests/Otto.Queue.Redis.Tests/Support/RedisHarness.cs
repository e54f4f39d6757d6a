using Otto.Queue.Conformance;

namespace Otto.Queue.Redis.Tests.Support;

// Redis as a route for the suite: one server, or a cluster.

internal sealed class RedisHarness(string configuration) : IRouteHarness
{
    public bool JoinsProcesses => true;

    public bool KeepsDeadLetters => true;

    public bool CountsAttemptsOfTheDead => true;

    public Durability Durability => Durability.Cluster;

    public TaskQueueOptions MakeOptions() =>
        new TaskQueueOptions().UseInProcess(static o => o.Enabled = false).UseSharedMemory(static s => s.Enabled = false).UseRedis(
            configuration);

    public ValueTask DisposeAsync() => default;
}
