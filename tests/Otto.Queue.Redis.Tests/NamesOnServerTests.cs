using System.Text;
using Otto.Ipc;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;
using StackExchange.Redis;

namespace Otto.Queue.Redis.Tests;

/// <summary>What keys and channels are called: programs with other prefixes or databases do not meet, and what is published is heard
/// whatever the client puts before the names.</summary>
[Parallelizable]
internal sealed class NamesOnServerTests : RedisTest
{
    private static readonly Action<RedisRouteOptions> NeverPolls = static o =>
    {
        o.PollInterval = TimeSpan.FromMinutes(1);
        o.LeaseTime = TimeSpan.FromHours(1);
    };

    private TaskQueueOptions Over(string more, string prefix = "otto") => InProcessOnly().UseRedis(Server.Configuration + more, o =>
    {
        NeverPolls(o);
        o.Prefix = prefix;
    });

    [TestCase("")]
    [TestCase(",channelPrefix=app:")]
    [TestCase(",defaultDatabase=3")]
    [TestCase(",defaultDatabase=3,channelPrefix=app:")]
    public async Task A_lone_task_begins_at_once_its_result_comes_and_a_running_one_is_cancelled(string more)
    {
        await WorksAsync(Over(more), Over(more), more.Contains("Database") ? 3 : 0, "otto");
    }

    [Test]
    public async Task A_prefix_of_its_own_works_as_the_default_one()
    {
        await WorksAsync(Over("", "team-a:app"), Over("", "team-a:app"), 0, "team-a:app");
        Assert.That(await Server.AskAsync($"EXISTS otto:{{{Name}}}:stream team-a:app:{{{Name}}}:stream"), Is.EqualTo(":1"));
    }

    [Test]
    public async Task A_connection_of_the_program_with_a_channel_prefix_works_too()
    {
        await using ConnectionMultiplexer own = await ConnectionMultiplexer.ConnectAsync(Server.Configuration + ",channelPrefix=app:");
        await WorksAsync(InProcessOnly().UseRedis(own, NeverPolls), Over(",channelPrefix=app:"), 0, "otto");
    }

    // Nothing polls here for a minute: whatever happens was heard.
    private async Task WorksAsync(TaskQueueOptions there, TaskQueueOptions here, int database, string prefix)
    {
        TaskCompletionSource running = new(), cancelled = new();
        await StartAsync(there.AddHandler<Job, string>(Name, async (job, _, cancellation) =>
        {
            if (job.Number == 0) return "done";
            running.TrySetResult();
            await Task.Delay(Timeout.Infinite, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cancelled.TrySetResult();
            cancellation.ThrowIfCancellationRequested();
            return "not reached";
        }));
        TaskQueue producer = Make(here.AddProducer<Job>(Name));
        for (int i = 0; i < 3; i++)
        {
            await AsleepAsync(database, prefix);
            TaskReceipt receipt = await producer.EnqueueAsync(new Job(0), new() { TrackResult = true });
            Assert.That(await producer.WaitAsync<string>(receipt).Soon(), Is.EqualTo("done"));
        }

        await AsleepAsync(database, prefix);
        TaskReceipt endless = await producer.EnqueueAsync(new Job(1));
        await running.Task.Soon();
        Assert.That(await producer.CancelAsync(endless), Is.EqualTo(CancelOutcome.Requested));
        await cancelled.Task.Soon();
    }

    private Task AsleepAsync(int database, string prefix) => Eventually.Holds(() => Server.AskAsync(
        $"SELECT {database}\r\nSCARD {prefix}:{{{Name}}}:sleepers", answers: 2).Result == ":1");

    [Test]
    public async Task An_event_is_heard_where_the_client_puts_a_prefix_before_channels()
    {
        RedisTaskChannel told = await OpenAsync(o => o.Configuration += ",channelPrefix=app:"),
            tells = await OpenAsync(o => o.Configuration += ",channelPrefix=app:");
        TaskCompletionSource<string> heard = new();
        await told.ListenAsync(message => heard.TrySetResult(Encoding.UTF8.GetString(message.Span)));
        await tells.NotifyAsync("a result"u8.ToArray());
        Assert.That(await heard.Task.Soon(), Is.EqualTo("a result"));
    }

    [TestCase(",defaultDatabase=3", "otto", "", "otto")]
    [TestCase("", "otto", ",defaultDatabase=3", "otto")]
    [TestCase(",defaultDatabase=2", "otto", ",defaultDatabase=3", "otto")]
    [TestCase("", "one", "", "two")]
    [TestCase("", "otto", "", "otto:otto")]
    public async Task Programs_of_other_databases_or_prefixes_do_not_meet(
        string first, string firstPrefix, string second, string secondPrefix)
    {
        RedisTaskChannel one = await OpenAsync(o => { o.Configuration += first; o.Prefix = firstPrefix; NeverPolls(o); }),
            two = await OpenAsync(o => { o.Configuration += second; o.Prefix = secondPrefix; NeverPolls(o); }),
            beside = await OpenAsync(o => { o.Configuration += second; o.Prefix = secondPrefix; NeverPolls(o); });
        List<string> heard = [];
        await two.ListenAsync(message =>
        {
            lock (heard) heard.Add(Encoding.UTF8.GetString(message.Span));
        });
        Taker taker = new();
        one.StartConsuming(taker);
        await one.NotifyAsync("of one"u8.ToArray());
        await one.SendAsync(new byte[24], new SendOptions(new TaskId(1, 1), Key: "k"), default);
        Assert.That((await two.SendAsync(new byte[24], new SendOptions(new TaskId(1, 2), Key: "k"), default)).Outcome,
            Is.EqualTo(SendOutcome.Sent), "the key is free there");
        await beside.NotifyAsync("of two"u8.ToArray());

        // The server tells in the order in which it was told.
        await Eventually.Holds(() =>
        {
            lock (heard) return heard.Count > 0;
        });
        lock (heard) Assert.That(heard, Is.EqualTo(new[] { "of two" }));
        Assert.That((await two.CountAsync(default)).Ready, Is.EqualTo(1));
        Assert.That(two.OtherWorkers, Is.Zero);
    }

    [Test]
    public async Task Queues_are_listed_by_prefix()
    {
        string mine = $"mine-{Guid.NewGuid():n}";
        await OpenAsync(o => o.Prefix = mine);
        RedisTaskChannel channel = await OpenAsync(o => o.Prefix = mine);
        await channel.SendAsync(new byte[24], new SendOptions(new TaskId(1, 1)), default);
        Assert.That(await RedisQueues.ListAsync(Server.Configuration, mine), Is.EqualTo(new[] { Name }));
        Assert.That(await RedisQueues.ListAsync(Server.Configuration), Does.Not.Contain(Name));
    }

    [TestCase("")]
    [TestCase("a{b")]
    [TestCase("a*")]
    [TestCase("a b")]
    [TestCase("ä")]
    [TestCase("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    public void A_prefix_that_keys_cannot_have_is_refused(string prefix)
    {
        Assert.That(() => InProcessOnly().UseRedis("localhost", o => o.Prefix = prefix),
            Throws.ArgumentException.With.Message.Contains("Redis.Prefix must be 1 to 64").And.Message.Contains($"'{prefix}'"));
    }
}
