using System.Diagnostics;
using System.Threading.Channels;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Queue;

namespace Otto.Ipc.Benchmarks.Queues;

// One producer, one worker, one process: Otto.Queue with a no-op handler, held against a bare bounded channel of objects in turns.

internal static class InProcessScenario
{
    private const int Capacity = 8192;

    public static async Task ThroughputAsync(Report report, int bytes, int tasks, int runs)
    {
        var counter = new Counter();
        await using var queue = new TaskQueue(new TaskQueueOptions()
            .AddHandler<Work>("bench.work", counter.HandleAsync, h => { h.Scope = false; h.Concurrency = 1; })
            .UseInProcess(o =>
            {
                o.Capacity = Capacity;
                o.FullMode = QueueFullMode.Wait;
            })
            .UseSharedMemory(o => o.Enabled = false));
        await queue.StartAsync();
        var work = new Work(new byte[bytes]);
        var rates = new List<double>();
        var peers = new List<double>();
        for (int run = 0; run <= runs; run++)
        {
            Task done = counter.Expect(tasks);
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < tasks; i++)
            {
                ValueTask<TaskReceipt> enqueued = queue.EnqueueAsync(work);
                if (!enqueued.IsCompletedSuccessfully) await enqueued;
            }

            await done;
            double rate = tasks / Stopwatch.GetElapsedTime(start).TotalSeconds;
            double peer = await ChannelRateAsync(work, tasks);
            if (run == 0) continue;
            rates.Add(rate);
            peers.Add(peer);
        }

        report.Add(new Result
        {
            Scenario = "queue.throughput",
            Transport = "inprocess",
            Bytes = bytes,
            Value = Math.Round(Result.Median(rates)),
            Unit = "task/s",
            Runs = rates.ConvertAll(Math.Round),
            Peer = Math.Round(Result.Median(peers)),
            PeerName = "Channel<object>",
            RatioToPeer = Result.MedianRatio(rates, peers),
        });
    }

    private static async Task<double> ChannelRateAsync(Work work, int tasks)
    {
        var channel = Channel.CreateBounded<object>(new BoundedChannelOptions(Capacity) { SingleReader = true });
        var counter = new Counter();
        Task done = counter.Expect(tasks);
        Task reader = Task.Run(async () =>
        {
            while (await channel.Reader.WaitToReadAsync())
            {
                while (channel.Reader.TryRead(out object? item)) counter.Count((Work)item);
            }
        });
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < tasks; i++)
        {
            ValueTask written = channel.Writer.WriteAsync(work);
            if (!written.IsCompletedSuccessfully) await written;
        }

        await done;
        double rate = tasks / Stopwatch.GetElapsedTime(start).TotalSeconds;
        channel.Writer.Complete();
        await reader;
        return rate;
    }

    private sealed record Work(byte[] Payload);

    /// <summary>The no-op: looks at the payload, counts, and says when the last task was seen.</summary>
    private sealed class Counter
    {
        private TaskCompletionSource _done = new();
        private int _left;
        private long _sum;

        public Task Expect(int tasks)
        {
            _left = tasks;
            _done = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            return _done.Task;
        }

        public ValueTask HandleAsync(Work work, TaskContext context, CancellationToken cancellationToken)
        {
            Count(work);
            return default;
        }

        public void Count(Work work)
        {
            _sum += work.Payload[0] + work.Payload[^1];
            if (--_left == 0) _done.SetResult();
        }
    }
}
