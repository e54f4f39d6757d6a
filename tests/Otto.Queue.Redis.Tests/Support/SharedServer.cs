using Otto.Queue.Redis.Tests.Support;

// In the namespace of the tests, not of their support: NUnit ends the fixture after the tests of its own namespace.
#pragma warning disable IDE0130
namespace Otto.Queue.Redis.Tests;
#pragma warning restore IDE0130

// One server for all tests that leave it alive; each test has queues of its own name.

[SetUpFixture]
internal sealed class SharedServer
{
    private static readonly SemaphoreSlim Starting = new(1, 1);
    private static RedisServer? s_server;

    /// <summary>The server, started by the first who asks; the test counts as skipped where there is none.</summary>
    internal static async Task<RedisServer> GetAsync()
    {
        await Starting.WaitAsync();
        try
        {
            return s_server ??= await RedisServer.StartAsync();
        }
        finally
        {
            Starting.Release();
        }
    }

    [OneTimeTearDown]
    public void Stop() => s_server?.Dispose();
}
