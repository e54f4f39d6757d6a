using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Tasks in a segment whose last worker died go to workers elsewhere.</summary>
[Parallelizable]
internal sealed class TaskTransferTests : RedisTest
{
    [Test]
    public async Task What_a_dead_worker_left_in_the_segment_moves_to_redis_attempts_and_all_but_for_what_was_pinned()
    {
        using PeerProcess near = PeerProcess.Start("hang", Segments, Name);
        await near.SaysAsync("ready");
        TaskQueue producer = Make(AllRoutes().AddProducer<byte[]>(Name));
        for (int i = 0; i < 20; i++)
            Assert.That((await producer.EnqueueAsync(BitConverter.GetBytes(i))).Route, Is.EqualTo(RouteName.SharedMemory));
        await near.SaysAsync("started 0 attempt 1");
        Dictionary<int, int> attempts = [];
        TaskQueue far = await StartAsync(RedisOnly().AddHandler<byte[]>(Name, (task, context, _) =>
        {
            lock (attempts) attempts.Add(BitConverter.ToInt32(task), context.Attempt);
            return default;
        }));

        near.Kill();

        await Eventually.Holds(() => far.GetStatistics()[0].Completed == 20);
        Assert.That(attempts.Keys, Is.EquivalentTo(Enumerable.Range(0, 20)));
        Assert.That(attempts.Where(static a => a.Value != 1), Is.EqualTo(new[] { KeyValuePair.Create(0, 2) }),
            "the one that was begun is attempt 2");
        await Eventually.Holds(() => producer.Queues[0].Moved == 20);

        await producer.EnqueueAsync(BitConverter.GetBytes(99), new() { Route = RouteName.SharedMemory });
        await producer.EnqueueAsync(BitConverter.GetBytes(100));
        await Eventually.Holds(() => far.GetStatistics()[0].Completed == 21);
        await Eventually.Holds(() => Inspect(Name).Ready == 1); // Whoever moves tasks on has it in hand for a moment, each time it looks.
    }
}
