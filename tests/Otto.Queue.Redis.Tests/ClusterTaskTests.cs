using Otto.Queue.Conformance;
using Otto.Queue.Redis.Tests.Support;

namespace Otto.Queue.Redis.Tests;

// The suite over a cluster of three.

public sealed class ClusterTaskTests : TaskConformance
{
    private static RedisCluster? s_cluster;

    [OneTimeSetUp]
    public static async Task StartCluster() => s_cluster = await RedisCluster.StartAsync();

    [OneTimeTearDown]
    public static void StopCluster() => s_cluster?.Dispose();

    protected override Task<IRouteHarness> CreateHarnessAsync() => Task.FromResult<IRouteHarness>(new ClusterHarness(s_cluster!));

    private sealed class ClusterHarness(RedisCluster cluster) : IRouteHarness
    {
        public bool JoinsProcesses => true;

        public bool KeepsDeadLetters => true;

        public bool CountsAttemptsOfTheDead => true;

        public Durability Durability => Durability.Cluster;

        public TaskQueueOptions MakeOptions() =>
            new TaskQueueOptions().UseInProcess(static o => o.Enabled = false).UseSharedMemory(static s => s.Enabled = false).UseRedis(
                cluster.Configuration);

        public ValueTask DisposeAsync() => default;
    }
}
