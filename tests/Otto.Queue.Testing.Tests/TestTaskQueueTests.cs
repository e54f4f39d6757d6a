using System.Text.Json.Serialization;

namespace Otto.Queue.Testing.Tests;

/// <summary>The queue that users' tests hold: the tests read as theirs would.</summary>
[CancelAfter(60_000)]
internal sealed class TestTaskQueueTests
{
    private sealed record Order(int Number);

    private sealed record Mail(string To);

    private static readonly DateTimeOffset Start = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    [Test]
    public async Task Nothing_runs_before_the_test_asks_and_follow_ups_run_after_earlier_tasks()
    {
        List<string> ran = [];
        await using TestTaskQueue queue = new(new TaskQueueOptions()
            .AddHandler<Order>("orders", async (order, context, stop) =>
            {
                ran.Add($"order {order.Number}");
                await context.TaskQueue.EnqueueAsync(new Mail($"buyer {order.Number}"), cancellationToken: stop);
            })
            .AddHandler<Mail>("mails", (mail, _, _) =>
            {
                ran.Add(mail.To);
                return default;
            }));
        await queue.EnqueueAsync(new Order(1));
        await queue.EnqueueManyAsync([new Order(2), new Order(3)]);
        Assert.That(ran, Is.Empty);
        Assert.That(queue.Pending.Select(static p => (p.Name, p.DueIn)), Is.EqualTo(Enumerable.Repeat(("orders", TimeSpan.Zero), 3)));

        Assert.That(await queue.RunOneAsync(), Is.True);
        Assert.That(ran, Is.EqualTo(new[] { "order 1" }));
        Assert.That(await queue.RunAsync(), Is.EqualTo(5));

        Assert.That(ran, Is.EqualTo(new[] { "order 1", "order 2", "order 3", "buyer 1", "buyer 2", "buyer 3" }));
        Assert.That(queue.Done<Mail>().Select(static m => m.To), Is.EqualTo(new[] { "buyer 1", "buyer 2", "buyer 3" }));
        Assert.That(queue.Pending, Is.Empty);
    }

    [Test]
    public async Task Many_workers_make_no_difference_to_the_order()
    {
        List<int> ran = [];
        await using TestTaskQueue queue = new(new TaskQueueOptions().AddHandler<Order>("orders", async (order, _, _) =>
        {
            await Task.Yield();
            ran.Add(order.Number); // Not guarded: no two attempts overlap.
        }, static h => h.Concurrency = 16));
        await queue.EnqueueManyAsync(Enumerable.Range(0, 1000).Select(static n => new Order(n)));
        await queue.RunAsync();
        Assert.That(ran, Is.EqualTo(Enumerable.Range(0, 1000)));
    }

    [Test]
    public async Task Retries_come_when_the_clock_says_and_the_last_failure_is_a_dead_letter()
    {
        await using TestTaskQueue queue =
            new(new TaskQueueOptions().AddHandler<Order>("orders",
                static (_, context, _) => throw new InvalidOperationException($"no {context.Attempt}"),
            static h => { h.Retries = 2; h.FirstDelay = TimeSpan.FromMinutes(1); h.MaxDelay = TimeSpan.FromHours(1); }));
        TaskReceipt receipt = await queue.EnqueueAsync(new Order(1), new() { TrackResult = true });

        Assert.That(await queue.RunAsync(), Is.EqualTo(1));
        PendingTask pending = queue.Pending.Single();
        Assert.That((pending.AttemptsMade, pending.DueIn), Is.EqualTo((1, TimeSpan.FromMinutes(1))));
        Assert.That(await queue.AdvanceAsync(TimeSpan.FromSeconds(59)), Is.Zero);
        Assert.That(await queue.AdvanceAsync(TimeSpan.FromSeconds(1)), Is.EqualTo(1));
        Assert.That(await queue.RunToEndAsync(), Is.EqualTo(1));

        Assert.That(queue.Attempts.Select(static a => (a.Number, a.At - Start)),
            Is.EqualTo(new[] { (1, TimeSpan.Zero), (2, TimeSpan.FromMinutes(1)), (3, TimeSpan.FromMinutes(3)) }));
        Assert.That(queue.Attempts[2].Error!.Message, Is.EqualTo("no 3"));
        DeadLetteredTask dead = (await queue.DeadLetters.ListAsync()).Single();
        Assert.That((dead.Id, dead.Attempts, dead.Reason), Is.EqualTo((receipt.Id, 3, "attempt 3 of 3: InvalidOperationException: no 3")));
        await Assert.ThrowsAsync<TaskFailedException>(async () => await queue.WaitAsync(receipt));
        await queue.DeadLetters.RequeueAsync(dead);
        Assert.That(await queue.RunAsync(), Is.EqualTo(1));
    }

    [Test]
    public async Task A_day_of_a_recurring_task_takes_a_moment()
    {
        await using TestTaskQueue queue = new(new TaskQueueOptions().AddHandler<Order>("orders", static (_, _, _) => default));
        await queue.EnqueueAsync(new Order(1),
            new() { RepeatInterval = TimeSpan.FromHours(1), Delay = TimeSpan.FromMinutes(30), UniqueKey = "hourly" });
        Assert.That((await queue.EnqueueAsync(new Order(2), new() { UniqueKey = "hourly" })).Outcome, Is.EqualTo(EnqueueOutcome.Duplicate));
        Assert.That(await queue.AdvanceAsync(TimeSpan.FromDays(1)), Is.EqualTo(24));
        Assert.That(queue.Attempts.Select(static a => a.At.Minute), Is.All.EqualTo(30));
        Assert.That((await Assert.ThrowsAsync<InvalidOperationException>(() => queue.RunToEndAsync(TimeSpan.FromHours(3))))!.Message,
            Does.Contain("orders").And.Contain("beyond the limit"));
    }

    [Test]
    public async Task A_timeout_is_the_clocks_too()
    {
        TaskCompletionSource begun = new(TaskCreationOptions.RunContinuationsAsynchronously);
        await using TestTaskQueue queue = new(new TaskQueueOptions().AddHandler<Order>("orders", async (_, _, stop) =>
        {
            begun.TrySetResult();
            await Task.Delay(Timeout.Infinite, stop);
        }, static h => { h.Retries = 0; h.Timeout = TimeSpan.FromMinutes(5); }));
        await queue.EnqueueAsync(new Order(1));
        Task<int> running = queue.RunAsync();
        await begun.Task;
        queue.Clock.Advance(TimeSpan.FromMinutes(5));
        Assert.That(await running, Is.EqualTo(1));
        Assert.That((await queue.DeadLetters.ListAsync()).Single().Reason, Does.Contain("ran longer than 300 s"));
    }

    [Test]
    public async Task Results_cancels_and_pins_are_as_ever()
    {
        await using TestTaskQueue queue =
            new(new TaskQueueOptions().AddHandler<Order, int>("orders", static (order, _, _) => new(order.Number * 2)).AddProducer<Mail>(
                "mails"));
        TaskReceipt wanted = await queue.EnqueueAsync(new Order(21), new() { TrackResult = true, Durability = Durability.Cluster });
        TaskReceipt gone = await queue.EnqueueAsync(new Order(1), new() { Route = RouteName.InProcess });
        await queue.EnqueueAsync(new Mail("elsewhere"));
        Assert.That(await queue.CancelAsync(gone), Is.EqualTo(CancelOutcome.Removed));
        await queue.RunToEndAsync();
        Assert.That(await queue.WaitAsync<int>(wanted), Is.EqualTo(42));
        Assert.That(queue.Pending.Select(static p => (p.Name, p.Handled)), Is.EqualTo(new[] { ("mails", false) }),
            "another program's to work on");
    }

    private sealed class Forgetful
    {
        public int Kept { get; set; }

        [JsonIgnore]
        public int Lost { get; set; }
    }

    // Written as a number of calls, so never twice the same.
    private sealed class Unstable
    {
        private int _looks;

        public int Looks => ++_looks + s_all++;

        private static int s_all;
    }

    [Test]
    public async Task The_round_trip_finds_types_that_would_not_survive_another_route_and_can_be_switched_off()
    {
        TaskQueueOptions Options(List<object> got) => new TaskQueueOptions()
            .AddHandler<Unstable>("unstable", static (_, _, _) => default)
            .AddHandler<Forgetful>("forgetful", (task, _, _) =>
            {
                got.Add(task);
                return default;
            });
        Forgetful sent = new() { Kept = 1, Lost = 2 };
        List<object> copies = [], same = [];
        await using (TestTaskQueue queue = new(Options(copies)))
        {
            TaskSerializationException e =
                (await Assert.ThrowsAsync<TaskSerializationException>(async () => await queue.EnqueueAsync(new Unstable())))!;
            Assert.That(e.Message, Does.Contain("does not survive serializing"));
            await queue.EnqueueAsync(sent);
            await queue.RunAsync();
            Assert.That(((Forgetful)copies.Single()).Lost, Is.Zero, "as it would come out of another process");
        }

        await using (TestTaskQueue queue = new(Options(same), roundTripEveryTask: false))
        {
            await queue.EnqueueAsync(new Unstable());
            await queue.EnqueueAsync(sent);
            await queue.RunAsync();
            Assert.That(same.Single(), Is.SameAs(sent));
        }
    }

    [Test]
    public async Task A_handler_that_waits_for_another_task_is_named_instead_of_hanging()
    {
        await using TestTaskQueue queue = new(new TaskQueueOptions().AddHandler<Order>("orders", static async (_, context, stop) =>
        {
            TaskReceipt other = await context.TaskQueue.EnqueueAsync(new Order(2), new() { TrackResult = true }, stop);
            await context.TaskQueue.WaitAsync(other, stop);
        })) { SettleTimeout = TimeSpan.FromMilliseconds(200) };
        await queue.EnqueueAsync(new Order(1));
        Assert.That((await Assert.ThrowsAsync<TimeoutException>(() => queue.RunAsync()))!.Message,
            Does.Contain("'orders'").And.Contain("one at a time"));
    }
}
