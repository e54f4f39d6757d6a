using System.Collections.Concurrent;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Tasks of a queue for which not every worker has a handler.</summary>
[Parallelizable]
internal sealed class UnhandledTests : RedisTest
{
    private const int Unknown = 300;

    private Action<HandlerOptions> InQueue => h =>
    {
        h.Queue = Name;
        h.Concurrency = 1;
    };

    private async Task<RedisTaskChannel> SendAsync()
    {
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>("known", InQueue).AddProducer<Job>("unknown", InQueue));
        for (int i = 0; i < Unknown; i++) await producer.EnqueueNamedAsync("unknown", new Job(i));
        for (int i = 0; i < 10; i++) await producer.EnqueueNamedAsync("known", new Job(i));
        return (RedisTaskChannel)producer.Queues[0].Routes[0].Channel;
    }

    [Test]
    public async Task What_no_worker_handles_keeps_its_place_and_holds_nothing_up()
    {
        RedisTaskChannel channel = await SendAsync();
        string last = await Server.AskAsync($"EVAL \"return redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1][1]\" 1 "
            + $"otto:{{{Name}}}:stream");
        TaskQueue half = await StartAsync(RedisOnly().AddHandler<Job>("known", static (_, _, _) => default, InQueue));
        await Eventually.Holds(() => half.GetStatistics()[0].Completed == 10);
        Assert.That(half.GetStatistics()[0].Returned, Is.EqualTo(Unknown), "each was looked at once");
        await Eventually.Holds(() => channel.CountAsync(default).AsTask().Result is { PassedOver: Unknown, Ready: 0, Leased: 0 });
        Assert.That(await channel.GetUnhandledAsync(default), Is.EqualTo(new[] { new UnhandledTasks("unknown", Unknown) }));
        Assert.That(await Server.AskAsync($"EVAL \"local i = redis.call('XINFO', 'STREAM', KEYS[1]) for n = 1, #i, 2 do "
            + $"if i[n] == 'entries-added' then return i[n + 1] end end\" 1 otto:{{{Name}}}:stream"), Is.EqualTo($":{Unknown + 10}"),
            $"no entry was written anew; the last was {last}");

        ConcurrentQueue<int> done = new();
        TaskQueue whole = await StartAsync(RedisOnly().AddHandler<Job>("unknown", (job, _, _) =>
        {
            done.Enqueue(job.Number);
            return default;
        }, InQueue));
        await Eventually.Holds(() => done.Count == Unknown);
        Assert.That(done, Is.EqualTo(Enumerable.Range(0, Unknown)), "in their order");
        await Eventually.Holds(() => Server.AskAsync($"XLEN otto:{{{Name}}}:stream").Result == ":0");
        Assert.That(await Server.AskAsync($"EXISTS otto:{{{Name}}}:aside otto:{{{Name}}}:aside:names otto:{{{Name}}}:ids"),
            Is.EqualTo(":0"));
        Assert.That(half.GetStatistics()[0].Returned, Is.EqualTo(Unknown));
    }

    [Test]
    public async Task A_sleeping_worker_is_woken_for_what_another_passes_over()
    {
        Action<RedisRouteOptions> unhurried = static o => o.PollInterval = TimeSpan.FromMinutes(1);
        TaskQueue whole = await StartAsync(RedisOnly(unhurried).AddHandler<Job>("b", static (_, _, _) => default, InQueue));
        TaskQueue half = await StartAsync(RedisOnly(unhurried).AddHandler<Job>("a", static (_, _, _) => default, InQueue));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>("b", InQueue));
        for (int i = 1; half.GetStatistics()[0].Returned == 0; i++)
        {
            Assert.That(i, Is.LessThan(1000));
            await Eventually.Holds(() => Server.AskAsync($"SCARD otto:{{{Name}}}:sleepers").Result == ":2");
            await producer.EnqueueNamedAsync("b", new Job(i));
            await Eventually.Holds(() => whole.GetStatistics()[0].Completed == i);
        }
    }

    [Test]
    public async Task What_was_passed_over_can_be_cancelled()
    {
        await StartAsync(RedisOnly().AddHandler<Job>("a", static (_, _, _) => default, InQueue));
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>("b", InQueue));
        TaskReceipt receipt = await producer.EnqueueNamedAsync("b", new Job(1));
        await Eventually.Holds(() => Server.AskAsync($"HGET otto:{{{Name}}}:aside:names b").Result == "$1");
        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Removed));
        Assert.That(await Server.AskAsync($"EXISTS otto:{{{Name}}}:aside otto:{{{Name}}}:aside:names otto:{{{Name}}}:ids"),
            Is.EqualTo(":0"));
    }
}
