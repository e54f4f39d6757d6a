using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>A task that kills its worker takes no other task along.</summary>
[Parallelizable]
internal sealed class PoisonTests : RedisTest
{
    [TestCase(10, 8, 300, 3)]
    [TestCase(10, 8, 0, 0)]
    [TestCase(50, 64, 0, 3)]
    [TestCase(10, 1, 0, 3)]
    public async Task Only_the_task_that_kills_its_worker_is_a_dead_letter(int innocents, int concurrency, int milliseconds, int retries) =>
        await PoisonRun.RunAsync($"redis:{Server.Configuration}", Name, Make(RedisOnly().AddProducer<byte[]>(Name)),
            innocents, concurrency, milliseconds, retries);

    [Test]
    [Explicit("Two minutes: every number of tasks, concurrency and length of a task.")]
    public async Task The_same_with_every_combination([Values(10, 50)] int innocents, [Values(1, 8, 64)] int concurrency,
        [Values(0, 300)] int milliseconds) =>
        await PoisonRun.RunAsync($"redis:{Server.Configuration}", Name, Make(RedisOnly().AddProducer<byte[]>(Name)),
            innocents, concurrency, milliseconds, 3);
}
