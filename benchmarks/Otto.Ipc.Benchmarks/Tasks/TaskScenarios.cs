using System.Buffers.Binary;
using System.Diagnostics;
using System.Threading.Channels;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Queue;

namespace Otto.Ipc.Benchmarks.Tasks;

// Tasks of 200 bytes from one producer to one no-op worker: how many a second, and how long from enqueue to
// handler start. Each run has its peer beside it.

internal static class TaskScenarios
{
    private const int WarmUps = 2_000;

    /// <summary>Tasks within this process against a bare channel of objects.</summary>
    public static async Task InProcessThroughputAsync(Report report, bool scope, Durability durability, int tasks, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        var done = new Signal();
        TaskPlan plan = new("inprocess", "bytes", scope);
        // With a segment beside it only where one is asked for: Durability.Process keeps each task there.
        await using var queue =
            new TaskQueue(plan.Handling(durability == Durability.None ? "" : directory.Path, new TaskSink(tasks, done.Set)));
        await queue.StartAsync();
        EnqueueOptions? options = durability == Durability.None ? null : new() { Durability = durability };
        byte[] payload = Payload(0);
        List<double> rates = [], peers = [];
        for (int run = 0; run <= runs; run++)
        {
            Task through = done.Next();
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < tasks; i++)
            {
                ValueTask<TaskReceipt> enqueued = queue.EnqueueAsync(payload, options);
                if (!enqueued.IsCompletedSuccessfully) await enqueued;
            }

            await through;
            double rate = tasks / Stopwatch.GetElapsedTime(start).TotalSeconds, peer = await ChannelRateAsync(payload, tasks);
            if (run == 0) continue;
            rates.Add(rate);
            peers.Add(peer);
        }

        report.Add(Throughput("inprocess", durability == Durability.None ? plan.Mode : $"{plan.Mode}, durability {durability}", rates,
            peers, "Channel<object>"));
    }

    private static async Task<double> ChannelRateAsync(byte[] payload, int tasks)
    {
        var channel = Channel.CreateBounded<object>(new BoundedChannelOptions(8192) { SingleReader = true });
        var done = new Signal();
        var sink = new TaskSink(tasks, done.Set);
        Task through = done.Next(), reader = Task.Run(async () =>
        {
            while (await channel.Reader.WaitToReadAsync())
                while (channel.Reader.TryRead(out object? item)) await sink.Take((byte[])item);
        });
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < tasks; i++)
        {
            ValueTask written = channel.Writer.WriteAsync(payload);
            if (!written.IsCompletedSuccessfully) await written;
        }

        await through;
        double rate = tasks / Stopwatch.GetElapsedTime(start).TotalSeconds;
        channel.Writer.Complete();
        await reader;
        return rate;
    }

    /// <summary>Tasks to a worker in another process, in batches.</summary>
    public static async Task ThroughputAsync(Report report, TaskPlan plan, int tasks, int runs)
    {
        using var worker = new TaskWorker("task-work", plan, tasks);
        await using var queue = new TaskQueue(plan.Sending(worker.Directory));
        await queue.StartAsync();
        List<double> rates = [];
        byte[] bytes = Payload(0);
        for (int run = 0; run <= runs; run++)
        {
            long start = Stopwatch.GetTimestamp();
            if (plan.Route == "redis")
            {
                foreach (int[] some in Enumerable.Range(0, tasks).Chunk(1024))
                {
                    if (plan.IsJson) await queue.EnqueueManyAsync(some.Select(_ => new BenchTask(0, bytes)));
                    else await queue.EnqueueManyAsync(some.Select(_ => (ReadOnlyMemory<byte>)bytes));
                }
            }
            else
            {
                var task = new BenchTask(0, bytes);
                for (int i = 0; i < tasks; i++)
                {
                    ValueTask<TaskReceipt> enqueued = plan.IsJson ? queue.EnqueueAsync(task)
                        : queue.EnqueueAsync((ReadOnlyMemory<byte>)bytes);
                    if (!enqueued.IsCompletedSuccessfully) await enqueued;
                }
            }

            worker.Hear(spin: false);
            if (run > 0) rates.Add(tasks / Stopwatch.GetElapsedTime(start).TotalSeconds);
        }

        report.Add(Throughput(plan.Route, plan.Mode, rates, [], null));
    }

    /// <summary>Tasks through Redis, each awaited before the next is sent, beside a loop
    /// written by hand on the same client.</summary>
    public static async Task OneAtATimeAsync(Report report, int tasks, int runs)
    {
        TaskPlan plan = new("redis", "raw", Scope: false);
        using var worker = new TaskWorker("task-work", plan, tasks);
        using var byHand = new TaskWorker("task-hand", plan, tasks);
        await using var queue = new TaskQueue(plan.Sending(worker.Directory));
        await queue.StartAsync();
        await using HandWrittenRedis hand = await HandWrittenRedis.ConnectAsync();
        byte[] bytes = Payload(0);
        List<double> rates = [], peers = [];
        for (int run = 0; run <= runs; run++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < tasks; i++) await queue.EnqueueAsync((ReadOnlyMemory<byte>)bytes);
            worker.Hear(spin: false);
            double rate = tasks / Stopwatch.GetElapsedTime(start).TotalSeconds;
            start = Stopwatch.GetTimestamp();
            for (int i = 0; i < tasks; i++) await hand.SendAsync(bytes);
            byHand.Hear(spin: false);
            double peer = tasks / Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (run == 0) continue;
            rates.Add(rate);
            peers.Add(peer);
        }

        report.Add(Throughput("redis", "one at a time", rates, peers, "by hand"));
    }

    /// <summary>Enqueue to handler start of a task that finds nobody busy, within this process.</summary>
    public static async Task InProcessOverheadAsync(Report report, bool awake, int tasks, int runs)
    {
        TaskPlan plan = new("inprocess", "bytes", Scope: false);
        long overhead = -1;
        await using var queue = new TaskQueue(plan.Handling("", new TaskSink(1, ticks => Volatile.Write(ref overhead, ticks))));
        await queue.StartAsync();
        byte[] payload = Payload(0);
        await OverheadAsync(report, plan, awake, tasks, runs, async () =>
        {
            Volatile.Write(ref overhead, -1);
            Stamp(payload, Stopwatch.GetTimestamp());
            await queue.EnqueueAsync(payload);
            SpinWait spin = default;
            while (Volatile.Read(ref overhead) < 0)
            {
                if (awake) Thread.SpinWait(1);
                else spin.SpinOnce();
            }

            return Volatile.Read(ref overhead);
        });
    }

    /// <summary>The same to a worker in another process.</summary>
    public static async Task OverheadAsync(Report report, TaskPlan plan, bool awake, int tasks, int runs)
    {
        using var worker = new TaskWorker("task-work", plan, 1);
        await using var queue = new TaskQueue(plan.Sending(worker.Directory));
        await queue.StartAsync();
        byte[] payload = Payload(0);
        await OverheadAsync(report, plan, awake, tasks, runs, async () =>
        {
            long now = Stopwatch.GetTimestamp();
            if (plan.IsJson) await queue.EnqueueAsync(new BenchTask(now, payload));
            else await queue.EnqueueAsync(Stamp(payload, now));
            return worker.Hear(spin: awake && plan.Route != "redis");
        });
    }

    private static async Task OverheadAsync(Report report, TaskPlan plan, bool awake, int tasks, int runs, Func<Task<long>> one)
    {
        for (int i = 0; i < WarmUps; i++) await one();
        List<double> medians = [], tails = [];
        long[] ticks = new long[tasks];
        for (int run = 0; run < runs; run++)
        {
            for (int i = 0; i < tasks; i++)
            {
                ticks[i] = await one();
                if (!awake) Thread.Sleep(1); // Long enough that the worker sleeps.
            }

            Array.Sort(ticks);
            medians.Add(Microseconds(ticks[tasks / 2]));
            tails.Add(Microseconds(ticks[(int)(tasks * 0.99)]));
        }

        double median = Math.Round(Result.Median(medians), 3);
        report.Add(new Result
        {
            Scenario = "task.overhead",
            Transport = plan.Route,
            Mode = $"{plan.Mode}, {(awake ? "awake" : "asleep")}",
            Bytes = TaskPlan.Bytes,
            Value = median,
            Unit = "µs",
            P50 = median,
            P99 = Math.Round(Result.Median(tails), 3),
            Runs = medians,
        });
    }

    private static Result Throughput(string route, string mode, List<double> rates, List<double> peers, string? peer) => new()
    {
        Scenario = "task.throughput",
        Transport = route,
        Mode = mode,
        Bytes = TaskPlan.Bytes,
        Value = Math.Round(Result.Median(rates)),
        Unit = "task/s",
        Runs = rates.ConvertAll(Math.Round),
        Peer = peers.Count > 0 ? Math.Round(Result.Median(peers)) : null,
        PeerName = peer,
        RatioToPeer = Result.MedianRatio(rates, peers),
    };

    private static double Microseconds(long ticks) => Math.Round(ticks * 1e6 / Stopwatch.Frequency, 3);

    private static byte[] Payload(long sentAt)
    {
        byte[] payload = new byte[TaskPlan.Bytes];
        payload[^1] = 1;
        Stamp(payload, sentAt);
        return payload;
    }

    private static ReadOnlyMemory<byte> Stamp(byte[] payload, long sentAt)
    {
        BinaryPrimitives.WriteInt64LittleEndian(payload, sentAt);
        return payload;
    }

    /// <summary>Completes a task a run, by whoever handled the last one.</summary>
    private sealed class Signal
    {
        private TaskCompletionSource _source = new();

        public Task Next() => (_source = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

        public void Set(long ticks) => _source.SetResult();
    }
}
