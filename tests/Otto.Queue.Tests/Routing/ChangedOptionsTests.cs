using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Routing;

/// <summary>A program that starts with other options than its segment has.</summary>
internal sealed class ChangedOptionsTests : QueueTest
{
    [Test]
    public async Task A_segment_that_is_empty_and_not_in_use_is_made_anew()
    {
        await (await StartAsync(WithSlots(64))).StopAsync();
        Assert.That(Inspect("jobs").Free, Is.EqualTo(64));
        TaskQueue queue = await StartAsync(WithSlots(128));
        Assert.That(queue.Queues[0].Routes[0].Channel, Has.Property("Capacity").EqualTo(128).And.Property("Warning").Null);
    }

    [Test]
    public async Task A_segment_that_holds_a_task_goes_on_as_it_is_and_that_is_said([Values] bool inUse)
    {
        TaskQueue first = Make(Options().UseSharedMemory(static s => s.Slots = 64).AddProducer<Job>("jobs"));
        await first.EnqueueAsync(new Job(1), new() { Durability = Durability.Process });
        if (!inUse) await first.StopAsync();
        List<int> done = [];
        TaskQueue queue = await StartAsync(WithSlots(128, done));
        Assert.That(queue.Queues[0].Routes[0].Channel.Capacity, Is.EqualTo(64));
        Assert.That(queue.Queues[0].Routes[0].Channel.Warning, Does.Contain("Slots 128 was asked for, the queue has 64"));
        await Eventually.Holds(() => done.Count == 1);
        await queue.StopAsync();
        if (inUse) await first.StopAsync();
        TaskQueue third = await StartAsync(WithSlots(128));
        Assert.That(third.Queues[0].Routes[0].Channel.Capacity, Is.EqualTo(128));
    }

    private TaskQueueOptions WithSlots(int slots, List<int>? done = null) => Options().UseSharedMemory(s => s.Slots = slots)
        .AddHandler<Job>("jobs", (job, _, _) =>
        {
            done?.Add(job.Number);
            return default;
        });
}
