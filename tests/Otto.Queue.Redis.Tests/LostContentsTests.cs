using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>A server that comes back empty.</summary>
internal sealed class LostContentsTests : RedisTest
{
    private RedisServer? _own;

    protected override async Task<RedisServer> GetServerAsync() => _own = await RedisServer.StartAsync();

    [TearDown]
    public void StopServer() => _own?.Dispose();

    [Test]
    public async Task Contents_that_are_lost_are_told_once_as_what_they_are_and_work_goes_on([Values] bool restarted)
    {
        CollectingLogger log = new();
        TaskCompletionSource begun = new(), go = new();
        int done = 0;
        bool cancelled = false;
        TaskQueueOptions options = RedisOnly().AddHandler<Job>(Name, async (job, _, cancellationToken) =>
        {
            if (job.Number == 0)
            {
                begun.TrySetResult();
                await go.Task;
                cancelled = cancellationToken.IsCancellationRequested;
            }

            Interlocked.Increment(ref done);
        }, static h => h.Concurrency = 1);
        options.LoggerFactory = log;
        TaskQueue worker = await StartAsync(options);
        TaskQueue producer = Make(RedisOnly().AddProducer<Job>(Name));
        await producer.EnqueueAsync(new Job(0));
        await begun.Task.Soon();
        if (restarted)
        {
            Server.Kill();
            await Server.StartAgainAsync();
        }
        else
        {
            await Server.AskAsync("FLUSHALL");
        }

        await Eventually.Holds(() => Told() == 1);
        go.SetResult();
        await Eventually.Holds(() => Volatile.Read(ref done) == 1);
        Assert.That(cancelled, Is.False, "no other worker has it");
        await producer.EnqueueAsync(new Job(1)).AsTask().Soon();
        await Eventually.Holds(() => Volatile.Read(ref done) == 2);
        await worker.StopAsync();
        Assert.That(Told(), Is.EqualTo(1));
        Assert.That(log.Lines, Has.None.Contains("passed to another worker"));

        int Told() => log.Lines.Count(static l => l.Contains("came back without the queue's contents", StringComparison.Ordinal));
    }
}
