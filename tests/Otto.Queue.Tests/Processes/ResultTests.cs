using Otto.Queue.Tests.Support;

namespace Otto.Queue.Tests.Processes;

/// <summary>Results between processes, as many as programs ask for: all come, whoever is
/// stopped or killed meanwhile.</summary>
internal sealed class ResultTests : QueueTest
{
    private const int Many = 20_000;

    [Test]
    public async Task Every_result_comes_while_progress_is_reported([Values(4, 2000)] int bytes)
    {
        using PeerProcess worker = PeerProcess.Start("answer", Segments, "jobs", $"{bytes}");
        await worker.SaysAsync("ready");
        using PeerProcess producer = PeerProcess.Start("ask", Segments, "jobs", $"{Many}");
        await producer.SaysAsync($"came {Many} failed 0");
        await worker.StopAsync();
    }

    [Test]
    public async Task Every_result_comes_to_a_producer_that_was_stopped()
    {
        using PeerProcess worker = PeerProcess.Start("answer", Segments, "jobs", "100");
        await worker.SaysAsync("ready");
        using PeerProcess producer = PeerProcess.Start("ask", Segments, "jobs", $"{Many}");
        await Eventually.Holds(() => Inspect("jobs") is var counts && counts.Results + counts.Leased + counts.Ready > 0);
        producer.Pause();
        // All that it sent is done, and waits for it; but for the slot in which it may have been stopped.
        await Eventually.Holds(() => Inspect("jobs") is { Ready: 0, Leased: <= 1 });
        Assert.That(producer.Said("came"), Is.Zero);
        producer.Resume();
        await producer.SaysAsync($"came {Many} failed 0");
        await worker.StopAsync();
    }

    [Test]
    public async Task Every_result_comes_though_workers_are_killed()
    {
        TaskQueue producer = Make(Options().AddProducer<byte[]>("jobs", static h => h.Retries = 8));
        await producer.StartAsync();
        PeerProcess worker = PeerProcess.Start("answer", Segments, "jobs", "100");
        int came = 0;
        try
        {
            Task<IReadOnlyList<TaskReceipt>> sending = producer.EnqueueManyAsync(
                Enumerable.Range(0, Many).Select(BitConverter.GetBytes), new EnqueueOptions { TrackResult = true }).AsTask();
            for (int kill = 1; kill <= 3; kill++)
            {
                // In the middle of its work.
                long before = Free();
                await Eventually.Holds(() => sending.IsCompleted || Free() != before);
                worker.Kill();
                worker.Dispose();
                worker = PeerProcess.Start("answer", Segments, "jobs", "100");
            }

            IReadOnlyList<TaskReceipt> receipts = await sending;
            await Task.WhenAll(receipts.Select(async (receipt, i) =>
            {
                byte[] result = await producer.WaitAsync<byte[]>(receipt);
                if (BitConverter.ToInt32(result) == i) Interlocked.Increment(ref came);
            })).Soon();
        }
        finally
        {
            worker.Kill();
            worker.Dispose();
        }

        Assert.That(came, Is.EqualTo(Many));

        long Free() => producer.Queues[0].Routes[0].Channel.LastCounts.Free;
    }

    [Test]
    public async Task Another_process_collects_the_result_of_a_producer_that_was_killed()
    {
        using PeerProcess producer = PeerProcess.Start("ask", Segments, "jobs", "1");
        await producer.SaysAsync("asked 1");
        string line = producer.Lines.First(static l => l.StartsWith("asked", StringComparison.Ordinal));
        Assert.That(TaskId.TryParse(line.Split(' ')[2], out TaskId id), Is.True);
        producer.Kill();
        using PeerProcess worker = PeerProcess.Start("answer", Segments, "jobs", "3");
        TaskQueue other = Make(Options().AddProducer<byte[]>("jobs"));
        Assert.That(await other.WaitAsync<byte[]>("jobs", id).Soon(), Is.EqualTo(new byte[7]));
        Assert.That(async () => await other.WaitAsync<byte[]>("jobs", id).Soon(), Throws.TypeOf<ResultNotFoundException>(),
            "collected once");
        await worker.StopAsync();
    }
}
