using Otto.Ipc;
using Otto.Ipc.Mmap;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Routing;

/// <summary>Schedules of one key of which several are there at once, because a process ended or stopped while it
/// replaced one.</summary>
[Parallelizable]
internal sealed class ScheduleReplacementTests : QueueTest
{
    [Test]
    public async Task A_schedule_waits_for_one_that_runs_behind_one_that_was_only_to_be_cancelled()
    {
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));
        using LabelledWorkQueue queue = Open();
        await producer.EnqueueAsync(new byte[] { 1 }, Every(TimeSpan.FromDays(1)));
        Assert.That(queue.RequestCancel(Find(queue)), "as by a process that ends before it cancels it");
        await producer.EnqueueAsync(new byte[] { 2 }, Every(TimeSpan.Zero));
        Assert.That(queue.TryLease(out WorkLease running));
        Assert.That(queue.RequestCancel(Find(queue)));
        await producer.EnqueueAsync(new byte[] { 3 }, Every(TimeSpan.Zero));

        WorkQueueChannel worker = new(queue);
        Assert.That(worker.TryLease(out _), Is.False, "the second one still runs");
        Assert.That(running.Complete());
        WorkLease next = default;
        await Eventually.Holds(() => worker.TryLease(out next));
        Assert.That(next.Payload.ToArray()[^1], Is.EqualTo(3));
        Assert.That(next.Complete());
        Assert.That(queue.GetCounts(), Is.EqualTo(queue.GetCounts() with { Ready = 0, Leased = 0, Delayed = 0 }), "nothing else is left");
    }

    [Test]
    public async Task Of_two_schedules_of_a_key_the_one_that_was_enqueued_later_goes_on()
    {
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));
        using LabelledWorkQueue queue = Open();
        await producer.EnqueueAsync(new byte[] { 1 }, Every(TimeSpan.Zero));
        WorkId first = Find(queue);
        Assert.That(queue.RequestCancel(first));
        await producer.EnqueueAsync(new byte[] { 2 }, Every(TimeSpan.Zero));
        queue.WithdrawCancelRequest(first); // As if nobody had asked yet.

        WorkQueueChannel worker = new(queue);
        List<(byte Payload, bool IsCancelled)> seen = [];
        for (int i = 0; i < 2 && worker.TryLease(out WorkLease lease); i++)
        {
            seen.Add((lease.Payload.Span[^1], lease.IsCancelRequested));
            Assert.That(lease.Complete());
        }

        Assert.That(seen, Is.EqualTo(new[] { ((byte)1, true), ((byte)2, false) }));
    }

    private LabelledWorkQueue Open() =>
        (LabelledWorkQueue)new MmapTransport(new MmapTransportOptions { Directory = Segments }).OpenQueue("jobs");

    private static WorkId Find(LabelledWorkQueue queue)
    {
        ulong key = KeyedMessage.HashOf("k");
        Assert.That(queue.TryFindKey(key, static (_, isCancelRequested) => !isCancelRequested, out WorkId work, out _));
        return work;
    }

    private static EnqueueOptions Every(TimeSpan delay) =>
        new() { RepeatInterval = TimeSpan.FromHours(1), UniqueKey = "k", Delay = delay };
}
