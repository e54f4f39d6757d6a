using Otto.Queue.Conformance;
using Otto.Queue.Redis.Tests.Support;

namespace Otto.Queue.Redis.Tests;

// The suite over Redis.

[Parallelizable]
public sealed class RedisTaskTests : TaskConformance
{
    protected override async Task<IRouteHarness> CreateHarnessAsync() =>
        new RedisHarness((await SharedServer.GetAsync()).Configuration);
}
