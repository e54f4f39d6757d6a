using System.Diagnostics;
using Otto.Queue.Redis.Tests.Support;
using Otto.Queue.Tests.Support;

namespace Otto.Queue.Redis.Tests;

/// <summary>Taking a task back among many, wherever it is and while others move.</summary>
[Parallelizable]
internal sealed class CancelTests : RedisTest
{
    private const int Many = 5000, Large = 900 << 10;

    [Test]
    public async Task A_task_is_found_among_thousands_while_it_moves_and_no_other_is_read()
    {
        TaskQueue producer = Make(RedisOnly(static o => o.MaxMessageBytes = 2 << 20).AddProducer<byte[]>(Name));
        EnqueueOptions later = new() { Delay = TimeSpan.FromHours(1) };
        IReadOnlyList<TaskReceipt> receipts = await producer.EnqueueManyAsync(
            Enumerable.Range(0, Many).Select(static i => i % 500 == 0 ? new byte[Large] : BitConverter.GetBytes(i)), later);

        // Each is made due in turn while another connection takes them into the stream.
        RedisTaskChannel worker = await OpenAsync(static o => o.MaxMessageBytes = 2 << 20, Name);
        worker.StartConsuming(new Taker(1));
        using CancellationTokenSource stop = new();
        Task moving = Task.Run(async () =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                string id = Convert.ToHexString(Bytes(receipts[i % Many].Id));
                await Server.AskAsync($"EVAL \"local id = string.gsub(ARGV[1], '..', function(h) return string.char(tonumber(h, 16)) end) "
                    + $"return redis.call('ZADD', KEYS[1], 'XX', 0, id)\" 1 otto:{{{Name}}}:delayed {id}");
                if (worker.TryLease(out Otto.Ipc.WorkLease lease)) lease.Abandon(countAttempt: false, TimeSpan.FromHours(1));
                else _ = worker.WaitToLeaseAsync(stop.Token).AsTask();
            }
        });
        long start = Stopwatch.GetTimestamp();
        foreach (TaskReceipt receipt in receipts.Where(static (_, i) => i % 20 == 0))
            Assert.That(await producer.CancelAsync(receipt), Is.Not.EqualTo(CancelOutcome.NotFound), $"{receipt.Id}");
        TimeSpan took = Stopwatch.GetElapsedTime(start);
        await stop.CancelAsync();
        await moving;
        TestContext.Out.WriteLine($"{Many / 20} cancels in {took.TotalMilliseconds:0} ms");
    }

    private static byte[] Bytes(TaskId id)
    {
        byte[] bytes = new byte[TaskId.Size];
        id.WriteTo(bytes);
        return bytes;
    }
}
