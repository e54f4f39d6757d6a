using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.Benchmarks.Queues;

// One sender, workers in processes of their own; every task is leased, read in full and completed. The clock stops when the last is
// completed, which the workers say over a second queue
// once they have had nothing to do for a millisecond.

internal static class QueueScenarios
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30), Pause = TimeSpan.FromMilliseconds(1);

    public static void Throughput(Report report, NativeBaseline floor, int bytes, int tasks, int workers, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory.Path });
        using WorkQueue queue = transport.OpenQueue("work", new MmapQueueOptions { Slots = 1024, SlotBytes = 512 });
        using WorkQueue done = transport.OpenQueue("done", new MmapQueueOptions { Slots = 64, SlotBytes = 64 });
        BenchmarkProcess[] peers =
            [.. Enumerable.Range(0, workers).Select(_ => new BenchmarkProcess("queue-work", directory.Path, Text(bytes)))];
        while (queue.OtherConsumers < workers)
        {
            if (peers.Any(p => !p.IsRunning)) throw new InvalidOperationException("a worker ended early; its message is above");
            Thread.Yield();
        }

        byte[] payload = new byte[bytes];
        var rates = new List<double>();
        var floors = new List<double>();
        for (int run = 0; run <= runs; run++)
        {
            long start = Stopwatch.GetTimestamp();
            for (int i = 0; i < tasks; i++)
            {
                BinaryPrimitives.WriteInt64LittleEndian(payload, i);
                Send(queue, payload);
            }

            long completed = 0;
            while (completed < tasks)
            {
                if (!done.TryLease(out WorkLease lease))
                {
                    if (!done.WaitToLease(Patience))
                        throw new TimeoutException($"{completed:N0} of {tasks:N0} tasks were completed, then no more");
                    continue;
                }

                completed += BinaryPrimitives.ReadInt64LittleEndian(lease.Payload.Span);
                lease.Complete();
            }

            double rate = tasks / Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (completed != tasks) throw new InvalidOperationException($"{completed:N0} tasks were completed of {tasks:N0}");
            if (run == 0) continue;
            rates.Add(rate);
            if (floor.RingRate(bytes, tasks) is { } bare) floors.Add(bare);
        }

        // Longer than any task: the workers' end.
        for (int w = 0; w < workers; w++) Send(queue, new byte[bytes + 1]);
        foreach (BenchmarkProcess peer in peers) peer.Dispose();
        report.Add(new Result
        {
            Scenario = "queue.throughput",
            Transport = "mmap",
            Mode = workers == 1 ? null : $"{workers} workers",
            Bytes = bytes,
            Value = Math.Round(Result.Median(rates)),
            Unit = "task/s",
            Runs = rates.ConvertAll(Math.Round),
            Peer = floors.Count > 0 ? Result.Median(floors) : null,
            PeerName = floors.Count > 0 ? "C ring" : null,
            RatioToPeer = Result.MedianRatio(rates, floors),
        });
    }

    /// <summary>The peer of <see cref="Throughput"/>.</summary>
    public static void Work(string directory, int bytes)
    {
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory });
        using WorkQueue queue = transport.OpenQueue("work");
        using WorkQueue done = transport.OpenQueue("done");
        queue.SetConsumer(true);
        byte[] copy = new byte[512], answer = new byte[8];
        long completed = 0;
        while (true)
        {
            if (!queue.TryLease(out WorkLease lease))
            {
                if (queue.WaitToLease(Pause) || completed == 0) continue;
                // Nothing to do for a while: the sender may be waiting to hear how far this worker got. It does not listen while it sends,
                // so an answer that has no room is kept for the next pause.
                BinaryPrimitives.WriteInt64LittleEndian(answer, completed);
                if (done.TrySend(answer)) completed = 0;
                continue;
            }

            int length = lease.Payload.Length;
            lease.Payload.Span.CopyTo(copy);
            if (!lease.Complete()) throw new InvalidOperationException("a task was completed by somebody else");
            if (length > bytes) return;
            completed++;
        }
    }

    private static void Send(WorkQueue queue, ReadOnlySpan<byte> payload)
    {
        while (!queue.TrySend(payload))
        {
            if (!queue.WaitToSend(Patience)) throw new TimeoutException("the queue stayed full");
        }
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
