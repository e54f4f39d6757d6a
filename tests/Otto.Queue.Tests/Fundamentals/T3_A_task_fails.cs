using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Fundamentals;

/// <summary>Throwing means: try again later, and in the end put it where somebody can look at it.</summary>
internal sealed class T3_A_task_fails : QueueTest
{
    [Test]
    public async Task A_failed_task_is_tried_again_after_a_pause()
    {
        List<int> attempts = [];
        TaskQueue queue = await StartAsync(Options(Time).AddHandler<Job>("jobs", (_, context, _) =>
        {
            lock (attempts) attempts.Add(context.Attempt);
            return context.Attempt < 3 ? throw new IOException("not yet") : ValueTask.CompletedTask;
        }, h => { h.Retries = 3; h.FirstDelay = TimeSpan.FromSeconds(1); h.Factor = 2; h.Jitter = 0; }));

        await queue.EnqueueAsync(new Job(1));
        await Eventually.Holds(() => Time.NextTimer == TimeSpan.FromSeconds(1));
        Time.Advance(TimeSpan.FromSeconds(1));
        await Eventually.Holds(() => Time.NextTimer == TimeSpan.FromSeconds(2));
        Time.Advance(TimeSpan.FromSeconds(2));

        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
        Assert.That(attempts, Is.EqualTo(new[] { 1, 2, 3 }));
        Assert.That(queue.GetStatistics()[0], Has.Property("Failed").EqualTo(2).And.Property("Retried").EqualTo(2));
    }

    [Test]
    public async Task A_task_that_fails_too_often_becomes_a_dead_letter_with_its_error()
    {
        bool mended = false;
        TaskQueue queue = await StartAsync(Options().AddHandler<Job>("jobs", (_, _, _)
            => Volatile.Read(ref mended) ? ValueTask.CompletedTask : throw new IOException("disk on fire"),
            h => { h.Retries = 1; h.FirstDelay = h.MaxDelay = TimeSpan.Zero; }));

        TaskReceipt receipt = await queue.EnqueueAsync(new Job(7));
        await Eventually.Holds(() => queue.GetStatistics()[0].DeadLettered == 1);

        DeadLetteredTask dead = (await queue.DeadLetters.ListAsync()).Single();
        Assert.That((dead.Name, dead.Id, dead.Reason), Is.EqualTo(("jobs", receipt.Id, "attempt 2 of 2: IOException: disk on fire")));
        Assert.That(dead.Payload.ToArray(), Is.EqualTo("""{"Number":7}"""u8.ToArray()));

        Volatile.Write(ref mended, true);
        Assert.That(await queue.DeadLetters.RequeueAsync(dead), Is.True);
        await Eventually.Holds(() => queue.GetStatistics()[0].Completed == 1);
        Assert.That(await queue.DeadLetters.ListAsync(), Is.Empty);
    }
}
