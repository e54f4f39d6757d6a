using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Processes;

/// <summary>A task that kills its worker takes no other task along.</summary>
[Parallelizable]
internal sealed class PoisonTests : QueueTest
{
    [TestCase(10, 8, 300, 3)]
    [TestCase(10, 8, 0, 0)]
    [TestCase(50, 64, 0, 3)]
    [TestCase(10, 1, 0, 3)]
    public async Task Only_the_task_that_kills_its_worker_is_a_dead_letter(int innocents, int concurrency, int milliseconds, int retries) =>
        await PoisonRun.RunAsync(Segments, "jobs", Make(Options().AddProducer<byte[]>("jobs")),
            innocents, concurrency, milliseconds, retries);

    [Test]
    [Explicit("Two minutes: every number of tasks, concurrency and length of a task.")]
    public async Task The_same_with_every_combination([Values(10, 50)] int innocents, [Values(1, 8, 64)] int concurrency,
        [Values(0, 300)] int milliseconds) =>
        await PoisonRun.RunAsync(Segments, "jobs", Make(Options().AddProducer<byte[]>("jobs")),
            innocents, concurrency, milliseconds, 3);
}
