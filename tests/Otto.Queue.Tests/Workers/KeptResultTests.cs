using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Workers;

/// <summary>Results in a segment: collected twice, never, or too large to be kept.</summary>
internal sealed class KeptResultTests : QueueTest
{
    [Test]
    public async Task Two_waits_for_one_result_both_end_and_one_gets_it()
    {
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        using CancellationTokenSource stop = new();
        Task<string> first = producer.WaitAsync<string>(receipt), second = producer.WaitAsync<string>(receipt, stop.Token);
        await stop.CancelAsync();
        Assert.That(async () => await second.Soon(), Throws.InstanceOf<OperationCanceledException>());
        await StartAsync(WithResult(static job => $"{job.Number}"));
        Assert.That(await first.Soon(), Is.EqualTo("1"));
    }

    [Test]
    public async Task Results_that_nobody_waits_for_do_not_fill_the_queue()
    {
        await StartAsync(WithResult(static job => $"{job.Number}"));
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        IReadOnlyList<TaskReceipt> receipts = await producer.EnqueueManyAsync(
            Enumerable.Range(0, 5000).Select(static i => new Job(i)), new() { TrackResult = true }).AsTask().Soon();
        Assert.That(receipts, Has.Count.EqualTo(5000), "the segment has 1,024 slots");
        Assert.That(await producer.WaitAsync<string>(receipts[7]).Soon(), Is.EqualTo("7"));
        Assert.That(await producer.WaitAsync<string>(receipts[4999]).Soon(), Is.EqualTo("4999"));
    }

    [Test]
    public async Task While_there_is_room_results_stay_where_any_process_can_ask_for_them()
    {
        const int Most = 900; // Of 1,024 slots.
        await StartAsync(WithResult(static job => $"{job.Number}"));
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        IReadOnlyList<TaskReceipt> receipts = await producer.EnqueueManyAsync(
            Enumerable.Range(0, Most).Select(static i => new Job(i)), new() { TrackResult = true }).AsTask().Soon();
        await Eventually.Holds(() => Inspect("jobs") is { Ready: 0, Leased: 0 });
        await producer.DisposeAsync();

        TaskQueue other = Make(Options().AddProducer<Job>("jobs"));
        string[] results = await Task.WhenAll(receipts.Select(r => other.WaitAsync<string>("jobs", r.Id))).Soon();
        Assert.That(results, Is.EqualTo(Enumerable.Range(0, Most).Select(static i => $"{i}")));
    }

    [Test]
    public async Task A_result_that_cannot_be_kept_is_reported_and_its_task_runs_once()
    {
        int runs = 0;
        await StartAsync(Options().UseSharedMemory(static s => s.MaxLoanBytes = 0).AddHandler<Job, string>("jobs", (_, _, _) =>
        {
            Interlocked.Increment(ref runs);
            return new ValueTask<string>(new string('x', 5000));
        }));
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        for (int i = 1; i <= 3; i++)
        {
            TaskReceipt receipt = await producer.EnqueueAsync(new Job(i), new() { TrackResult = true });
            Assert.That(async () => await producer.WaitAsync<string>(receipt).Soon(),
                Throws.TypeOf<TaskFailedException>().With.Message.Contains("its result cannot be kept"));
        }

        Assert.That(runs, Is.EqualTo(3));
        Assert.That(Inspect("jobs").Free, Is.EqualTo(1024));
    }

    [Test]
    public async Task What_is_kept_of_a_task_that_was_taken_back_is_kept_from_then_on()
    {
        TaskQueue producer = Make(Options()
            .UseSharedMemory(static s => s.ResultRetention = TimeSpan.FromSeconds(1)).AddProducer<Job>("jobs"));
        TaskReceipt later = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true, Delay = TimeSpan.FromHours(1) });
        Assert.That(await producer.CancelAsync(later), Is.EqualTo(CancelOutcome.Removed));
        // What is sent meanwhile makes the queue look.
        await Eventually.Holds(() =>
        {
            producer.EnqueueAsync(new Job(2)).AsTask().Wait();
            return Inspect("jobs") is { Results: 0, Cancelled: 0, Delayed: 0 };
        });
    }

    [Test]
    public async Task A_dead_letter_of_a_task_that_failed_as_an_object_has_its_key_again_when_it_is_requeued()
    {
        TaskQueue worker = await StartAsync(Options().AddHandler<Job>("jobs", static (job, _, _) =>
            job.Number == 1 ? throw new TaskRejectedException("never") : default));
        await worker.EnqueueAsync(new Job(1), new() { UniqueKey = "k" });
        await Eventually.Holds(() => worker.GetStatistics()[0].DeadLettered == 1);
        DeadLetteredTask letter = (await worker.DeadLetters.ListAsync("jobs")).Single();
        await worker.StopAsync();
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        Assert.That(await producer.DeadLetters.RequeueAsync((await producer.DeadLetters.ListAsync("jobs")).Single()), Is.True, $"{letter}");
        TaskReceipt again = await producer.EnqueueAsync(new Job(2), new() { UniqueKey = "k" });
        Assert.That(again.Outcome, Is.EqualTo(EnqueueOutcome.Duplicate));
    }

    [Test]
    public async Task A_handler_gives_a_task_up_at_once_by_rejecting_it()
    {
        TaskQueue worker = await StartAsync(
            Options().AddHandler<Job>("jobs", static (_, _, _) => throw new TaskRejectedException("never")));
        TaskQueue producer = Make(Options().AddProducer<Job>("jobs"));
        TaskReceipt receipt = await producer.EnqueueAsync(new Job(1), new() { TrackResult = true });
        Assert.That(async () => await producer.WaitAsync(receipt).Soon(),
            Throws.TypeOf<TaskFailedException>().With.Message.Contains("never"));
        Assert.That(worker.GetStatistics()[0], Has.Property("Failed").EqualTo(1).And.Property("DeadLettered").EqualTo(1));
    }

    private TaskQueueOptions WithResult(Func<Job, string> result) =>
        Options().AddHandler<Job, string>("jobs", (job, _, _) => new ValueTask<string>(result(job)));
}
