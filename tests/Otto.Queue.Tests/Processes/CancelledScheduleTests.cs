using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Processes;

/// <summary>A recurring task that is cancelled or replaced while a worker runs it that dies.</summary>
[Parallelizable]
internal sealed class CancelledScheduleTests : QueueTest
{
    private static readonly EnqueueOptions Every = new() { RepeatInterval = TimeSpan.FromMilliseconds(20), UniqueKey = "k" };

    [Test]
    public async Task A_cancel_outlives_the_worker_that_was_running_the_task()
    {
        using PeerProcess victim = PeerProcess.Start("hang", Segments, "jobs");
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));
        TaskReceipt receipt = await producer.EnqueueAsync(BitConverter.GetBytes(7), Every);
        await victim.SaysAsync("started 7 attempt 1");
        Assert.That(await producer.CancelAsync(receipt), Is.EqualTo(CancelOutcome.Requested));
        victim.Kill();

        using PeerProcess heir = PeerProcess.Start("work", Segments, "jobs");
        await heir.SaysAsync("ready");
        await Eventually.Holds(() => producer.CancelAsync(receipt).AsTask().Result == CancelOutcome.NotFound);
        await producer.EnqueueAsync(BitConverter.GetBytes(8), new() { UniqueKey = "k" });
        await heir.SaysAsync("done 8 attempt 1");
        Assert.That(heir.Said("done 7"), Is.Zero);
        await heir.StopAsync();
    }

    [Test]
    public async Task A_replacement_outlives_the_worker_that_was_running_the_old_schedule()
    {
        using PeerProcess victim = PeerProcess.Start("hang", Segments, "jobs");
        await victim.SaysAsync("ready");
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));
        await producer.EnqueueAsync(BitConverter.GetBytes(7), Every);
        await victim.SaysAsync("started 7 attempt 1");
        Assert.That((await producer.EnqueueAsync(BitConverter.GetBytes(8), Every)).Outcome, Is.EqualTo(EnqueueOutcome.Replaced));
        victim.Kill();

        using PeerProcess heir = PeerProcess.Start("work", Segments, "jobs");
        await heir.SaysAsync("done 8 attempt 1");
        await heir.SaysAsync("done 8 attempt 1", 3);
        Assert.That(heir.Said("done 7"), Is.Zero);
        await heir.StopAsync();
    }

    [TestCase("queue.offer.described:1")]
    [TestCase("queue.key.pending:1")]
    [TestCase("queue.cancel.noted:1")]
    public async Task A_schedule_outlives_whoever_is_killed_while_it_replaces_it(string point)
    {
        int runs = 0;
        await StartAsync(Options().AddHandler<byte[]>("jobs", (_, _, _) =>
        {
            Interlocked.Increment(ref runs);
            return default;
        }));
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs"));
        await producer.EnqueueAsync(BitConverter.GetBytes(0), new() { RepeatInterval = TimeSpan.FromMilliseconds(20), UniqueKey = "tick" });

        Dictionary<string, string> fault = new() { ["OTTO_SHM_DIR"] = Segments, ["OTTO_FAULT_AT"] = $"{point}:KILL" };
        using PeerProcess victim = PeerProcess.Start(fault, "tasks-set", "jobs");
        await Eventually.Holds(() => victim.HasExited);

        int before = Volatile.Read(ref runs);
        await Eventually.Holds(() => Volatile.Read(ref runs) >= before + 3);
    }
}
