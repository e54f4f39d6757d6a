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

    protected override Task<IRouteHarness> CreateHarnessAsync() =>
        Task.FromResult<IRouteHarness>(new RedisHarness(s_cluster!.Configuration));
}
