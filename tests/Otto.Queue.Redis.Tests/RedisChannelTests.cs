using System.Diagnostics;
using System.Text;
using Otto.Ipc;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>The channel by itself, against a real server.</summary>
[Parallelizable]
internal sealed class RedisChannelTests : RedisTest
{
    private static readonly TimeSpan Short = TimeSpan.FromMilliseconds(150);
    private ulong _number;

    private ValueTask<SendResult> Send(TaskChannel channel, string text, TimeSpan delay = default)
    {
        TaskId id = new(1, ++_number);
        return channel.SendAsync(Message(text, id), new SendOptions(id, delay), CancellationToken.None);
    }

    // What stands for an envelope here: 8 bytes, the id, then the text.
    private static byte[] Message(string text, TaskId id)
    {
        byte[] message = new byte[24 + Encoding.UTF8.GetByteCount(text)];
        id.WriteTo(message.AsSpan(8));
        Encoding.UTF8.GetBytes(text, message.AsSpan(24));
        return message;
    }

    private static string Text(WorkLease lease) => Encoding.UTF8.GetString(lease.Payload.Span[24..]);

    [Test]
    public async Task A_message_is_leased_as_it_was_sent_and_gone_when_completed()
    {
        RedisTaskChannel producer = await OpenAsync(), worker = await OpenAsync();
        worker.StartConsuming(new Taker());
        Assert.That((await Send(producer, "work")).Outcome, Is.EqualTo(SendOutcome.Sent));

        WorkLease lease = await worker.LeaseAsync();

        Assert.That((Text(lease), lease.Attempt), Is.EqualTo(("work", 1)));
        Assert.That((await producer.CountAsync(default)).Leased, Is.EqualTo(1));
        Assert.That((lease.Complete(), lease.Complete()), Is.EqualTo((true, false)));
        await worker.DisposeAsync();
        Assert.That(await producer.CountAsync(default), Is.EqualTo(new WorkQueueCounts(0, 0, 0, 1_000_000, TimeSpan.Zero) { TotalIn = 1 }));
    }

    [Test]
    public async Task What_a_producer_left_for_its_batches_goes_when_it_leaves()
    {
        RedisTaskChannel producer = await OpenAsync();
        await Send(producer, "work");
        Assert.That(await Server.AskAsync($"KEYS otto:{{{Name}}}:sent:*"), Is.EqualTo("*1"));
        await producer.DisposeAsync();
        Assert.That(await Server.AskAsync($"KEYS otto:{{{Name}}}:sent:*"), Is.EqualTo("*0"));
    }

    [Test]
    public async Task Messages_of_a_producer_keep_their_order_through_batches()
    {
        RedisTaskChannel producer = await OpenAsync(), worker = await OpenAsync();
        worker.StartConsuming(new Taker(7));
        await Task.WhenAll(Enumerable.Range(0, 1000).Select(i => Send(producer, $"{i}").AsTask()));

        for (int i = 0; i < 1000; i++)
        {
            WorkLease lease = await worker.LeaseAsync();
            Assert.That(Text(lease), Is.EqualTo($"{i}"));
            lease.Complete();
        }
    }

    [Test]
    public async Task A_sleeping_worker_is_nudged_and_does_not_wait_for_its_poll()
    {
        RedisTaskChannel producer = await OpenAsync(), worker = await OpenAsync(static o => o.PollInterval = TimeSpan.FromMinutes(1));
        worker.StartConsuming(new Taker());
        for (int i = 0; i < 20; i++)
        {
            Task<WorkLease> waiting = worker.LeaseAsync();
            await Eventually.Holds(() => Server.AskAsync($"SCARD otto:{{{Name}}}:sleepers").Result == ":1");
            await Send(producer, "wake");
            (await waiting.Soon()).Complete();
        }
    }

    [Test]
    public async Task Each_worker_claims_no_more_than_its_free_places()
    {
        Action<RedisRouteOptions> unhurried = static o => o.LeaseTime = TimeSpan.FromMinutes(1);
        RedisTaskChannel producer = await OpenAsync(unhurried), greedy = await OpenAsync(unhurried), other = await OpenAsync(unhurried);
        for (int i = 0; i < 10; i++) await Send(producer, $"{i}");
        greedy.StartConsuming(new Taker(3));
        other.StartConsuming(new Taker(20));

        await greedy.WaitToLeaseAsync(default).AsTask().Soon();
        Assert.That((await producer.CountAsync(default)).Leased, Is.EqualTo(3));
        await other.WaitToLeaseAsync(default).AsTask().Soon();
        Assert.That((await producer.CountAsync(default)).Leased, Is.EqualTo(10));
    }

    [Test]
    public async Task What_was_claimed_and_not_begun_goes_back_uncounted_when_a_worker_stops()
    {
        RedisTaskChannel producer = await OpenAsync(), first = await OpenAsync(), second = await OpenAsync();
        for (int i = 0; i < 3; i++) await Send(producer, $"{i}");
        first.StartConsuming(new Taker());
        await first.WaitToLeaseAsync(default).AsTask().Soon();
        first.StopConsuming();

        second.StartConsuming(new Taker());
        for (int i = 0; i < 3; i++)
        {
            WorkLease lease = await second.LeaseAsync();
            Assert.That((Text(lease), lease.Attempt), Is.EqualTo(($"{i}", 1)));
            lease.Complete();
        }
    }

    [Test]
    public async Task A_delayed_message_comes_when_it_is_due_and_not_before()
    {
        RedisTaskChannel producer = await OpenAsync(), worker = await OpenAsync(static o => o.PollInterval = TimeSpan.FromMinutes(1));
        worker.StartConsuming(new Taker());
        Task<WorkLease> waiting = worker.LeaseAsync(); // Asleep for a minute, unless it is told of an earlier time.
        await Eventually.Holds(() => Server.AskAsync($"SCARD otto:{{{Name}}}:sleepers").Result == ":1");
        long start = Stopwatch.GetTimestamp();
        await Send(producer, "later", TimeSpan.FromHours(1));
        await Send(producer, "soon", Short);

        WorkLease lease = await waiting.Soon();

        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(Short));
        Assert.That(Text(lease), Is.EqualTo("soon"));
        lease.Complete();
        Assert.That((await producer.CountAsync(default)).Delayed, Is.EqualTo(1));
    }

    [TestCase(2)]
    [TestCase(60)]
    public async Task A_batch_that_ends_releases_what_the_worker_still_holds_and_reports_the_rest(int leased)
    {
        // With 60 leased and two ended, so much lies between the two that each is asked for by itself.
        RedisTaskChannel channel = await OpenAsync();
        var taker = new Taker(leased);
        channel.StartConsuming(taker);
        var first = new TaskId(1, _number + 1);
        for (int i = 0; i < leased; i++) await Send(channel, $"{i}");
        List<WorkLease> leases = [];
        while (leases.Count < leased) leases.Add(await channel.LeaseAsync());
        string key = $"otto:{{{Name}}}:stream";
        await Server.AskAsync($"EVAL \"return #redis.call('XCLAIM', KEYS[1], 'workers', 'thief', 0, redis.call('XRANGE', KEYS[1], '-', "
            + $"'+', 'COUNT', 1)[1][1])\" 1 {key}");

        leases[^1].Complete();
        leases[0].Complete();

        await Eventually.Holds(() => !taker.Lost.IsEmpty);
        Assert.That(taker.Lost, Is.EqualTo(new[] { first }));
        await Eventually.Holds(() => channel.CountAsync(default).AsTask().Result.Leased == leased - 1);
        Assert.That(await Server.AskAsync($"XLEN {key}"), Is.EqualTo($":{leased - 1}"));
        foreach (WorkLease lease in leases[1..^1]) lease.Complete();
        await Eventually.Holds(() => channel.CountAsync(default).AsTask().Result.Leased == 1);
    }

    [Test]
    public async Task Every_delayed_task_can_be_cancelled_while_others_fall_due()
    {
        const int Due = 6000, Far = 1500;
        RedisTaskChannel producer = await OpenAsync(), worker = await OpenAsync();
        List<Task<SendResult>> sending = [];
        for (int i = 0; i < Due; i++) sending.Add(Send(producer, "due", TimeSpan.FromMilliseconds(500 + i / 3)).AsTask());
        ulong first = _number + 1;
        for (int i = 0; i < Far; i++) sending.Add(Send(producer, "far", TimeSpan.FromHours(1)).AsTask());
        await Task.WhenAll(sending).Soon();
        worker.StartConsuming(new Taker(200));
        Task working = Task.Run(async () =>
        {
            for (int done = 0; done < Due; done++) (await worker.LeaseAsync()).Complete();
        });

        List<CancelOutcome> outcomes = [];
        for (ulong i = 0; i < Far; i++) outcomes.Add(await producer.CancelAsync(new TaskId(1, first + i), default));
        await working.Soon();

        Assert.That(outcomes, Is.All.EqualTo(CancelOutcome.Removed));
        Assert.That((await producer.CountAsync(default)).Delayed, Is.Zero);
    }

    [Test]
    public async Task A_counted_release_with_a_delay_is_redelivered_as_the_next_attempt()
    {
        RedisTaskChannel producer = await OpenAsync(), worker = await OpenAsync();
        worker.StartConsuming(new Taker());
        await Send(producer, "again");
        long start = Stopwatch.GetTimestamp();
        WorkLease first = await worker.LeaseAsync();
        Assert.That(first.Abandon(countAttempt: true, Short), Is.True);
        Assert.That(first.Complete(), Is.False);

        WorkLease second = await worker.LeaseAsync();

        Assert.That((Text(second), second.Attempt), Is.EqualTo(("again", 2)));
        Assert.That(Stopwatch.GetElapsedTime(start), Is.GreaterThanOrEqualTo(Short));
        second.Abandon(countAttempt: false);
        WorkLease third = await worker.LeaseAsync();
        Assert.That(third.Attempt, Is.EqualTo(2));
        third.Complete();
    }

    [Test]
    public async Task Dead_letters_are_listed_requeued_and_dropped_once()
    {
        RedisTaskChannel channel = await OpenAsync();
        channel.StartConsuming(new Taker());
        for (int i = 0; i < 2; i++)
        {
            await Send(channel, $"{i}");
            Assert.That((await channel.LeaseAsync()).DeadLetter($"no such file: ü {i}"), Is.True);
        }

        await Eventually.Holds(() => channel.GetDeadLettersAsync(100, default).AsTask().Result.Count == 2);
        IReadOnlyList<DeadLetter> letters = await channel.GetDeadLettersAsync(100, default);
        Assert.That(letters.Select(static l => (l.Reason, l.Attempts, Encoding.UTF8.GetString(l.Payload.Span[24..]))),
            Is.EqualTo(new[] { ("no such file: ü 0", 1, "0"), ("no such file: ü 1", 1, "1") }));
        Assert.That((await channel.RequeueAsync(letters[0].Id, default), await channel.RequeueAsync(letters[0].Id, default)),
            Is.EqualTo((true, false)));
        Assert.That((await channel.DeleteAsync(letters[1].Id, default), await channel.DeleteAsync(letters[1].Id, default)),
            Is.EqualTo((true, false)));
        WorkLease again = await channel.LeaseAsync();
        Assert.That((Text(again), again.Attempt), Is.EqualTo(("0", 1)));
        again.Complete();
    }

    [Test]
    public async Task A_full_queue_rejects_and_a_waiting_producer_gets_the_room_that_a_worker_makes()
    {
        RedisTaskChannel producer = await OpenAsync(static o => o.Capacity = 3), worker = await OpenAsync(static o => o.Capacity = 3);
        for (int i = 0; i < 2; i++) Assert.That((await Send(producer, "x")).Outcome, Is.EqualTo(SendOutcome.Sent));
        Assert.That((await Send(producer, "x", TimeSpan.FromHours(1))).Outcome, Is.EqualTo(SendOutcome.Sent));
        Assert.That((await Send(producer, "x")).Outcome, Is.EqualTo(SendOutcome.Full));
        Task room = producer.WaitToSendAsync(default).AsTask();
        worker.StartConsuming(new Taker());
        (await worker.LeaseAsync()).Complete();

        await room.Soon();

        Assert.That((await Send(producer, "x")).Outcome, Is.EqualTo(SendOutcome.Sent));
    }

    [Test]
    public async Task A_worker_is_seen_when_it_comes_and_when_it_goes()
    {
        RedisTaskChannel producer = await OpenAsync(), worker = await OpenAsync();
        Assert.That(producer.OtherWorkers, Is.Zero);
        worker.StartConsuming(new Taker());
        await Eventually.Holds(() => producer.OtherWorkers == 1);
        Assert.That(worker.OtherWorkers, Is.Zero, "nobody counts itself");
        worker.StopConsuming();
        await Eventually.Holds(() => producer.OtherWorkers == 0);
        worker.StartConsuming(new Taker());
        await Eventually.Holds(() => producer.OtherWorkers == 1);
        await worker.DisposeAsync();
        await Eventually.Holds(() => producer.OtherWorkers == 0);
    }

    [Test]
    public async Task A_lease_is_renewed_for_as_long_as_its_task_takes()
    {
        TimeSpan time = TimeSpan.FromSeconds(4);
        RedisTaskChannel producer = await OpenAsync(o => o.LeaseTime = time), busy = await OpenAsync(o => o.LeaseTime = time),
            idle = await OpenAsync(o => o.LeaseTime = time);
        Taker taker = new();
        busy.StartConsuming(taker);
        await Send(producer, "long");
        WorkLease lease = await busy.LeaseAsync();
        idle.StartConsuming(new Taker());

        // Longer than twice a lease: the other looks for what is left lying all the while.
        long start = Stopwatch.GetTimestamp();
        await Eventually.Holds(() => Stopwatch.GetElapsedTime(start) > time * 2.25);

        Assert.That((idle.TryLease(out _), taker.Lost.Count), Is.EqualTo((false, 0)));
        Assert.That(lease.Complete(), Is.True);
    }
}
