using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.Benchmarks.Topics;

// One publisher, subscribers in processes of their own. Counted is what the slowest subscriber heard, each message copied out and checked;
// what it lost does not count, and heard and lost together must be all that was published.

internal static class TopicScenarios
{
    private const int Capacity = 1 << 22, Numbers = 64;
    private const long End = -1;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static void Throughput(Report report, NativeBaseline floor, int bytes, long messages, int subscribers,
        SlowSubscriberPolicy policy, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory.Path });
        using MessagePublisher publisher = transport.OpenPublisher("news", new MmapTopicOptions { Capacity = Capacity, Policy = policy });
        using WorkQueue answers = transport.OpenQueue("answers", new MmapQueueOptions { Slots = 64, SlotBytes = 64 });
        BenchmarkProcess[] peers = [.. Enumerable.Range(0, subscribers).Select(
            _ => new BenchmarkProcess("topic-hear", directory.Path, Text(messages), Text(runs + 1)))];

        byte[][] payloads = Numbered(bytes);
        byte[] last = new byte[bytes];
        BinaryPrimitives.WriteInt64LittleEndian(last, End);
        var rates = new List<double>();
        var lost = new List<double>();
        var floors = new List<double>();
        for (int run = 0; run <= runs; run++)
        {
            for (int i = 0; i < subscribers; i++) Answer(answers, peers); // ready
            long start = Stopwatch.GetTimestamp();
            for (long i = 0; i < messages; i++) Publish(publisher, payloads[i % Numbers]);
            Publish(publisher, last);
            long least = messages;
            for (int i = 0; i < subscribers; i++) least = Math.Min(least, Answer(answers, peers));
            double rate = least / Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (run == 0) continue; // the JIT's run
            rates.Add(rate);
            lost.Add(100.0 * (messages - least) / messages);
            if (floor.RingRate(bytes, messages) is { } bare) floors.Add(bare);
        }

        foreach (BenchmarkProcess peer in peers) peer.Dispose();
        Console.Error.WriteLine($"  the slowest subscriber lost {Result.Median(lost):F1} % in the median run");
        report.Add(new Result
        {
            Scenario = "topic.throughput",
            Transport = "mmap",
            Mode = $"{policy}, {subscribers} subscriber{(subscribers == 1 ? "" : "s")}",
            Bytes = bytes,
            Value = Math.Round(Result.Median(rates)),
            Unit = "msg/s",
            Runs = rates.ConvertAll(Math.Round),
            Peer = floors.Count > 0 ? Result.Median(floors) : null,
            PeerName = floors.Count > 0 ? "C ring" : null,
            RatioToPeer = Result.MedianRatio(rates, floors),
        });
    }

    /// <summary>The peer of <see cref="Throughput"/>.</summary>
    public static void Hear(string directory, long messages, int runs)
    {
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory });
        using MessageSubscriber subscriber = transport.OpenSubscriber("news");
        using WorkQueue answers = transport.OpenQueue("answers");
        byte[] answer = new byte[8];
        for (int run = 0; run < runs; run++)
        {
            answers.TrySend(answer); // ready
            long heard = 0, lost = 0;
            while (true)
            {
                if (!subscriber.TryReceive(out TopicFrame message))
                {
                    if (!subscriber.WaitToReceive(Patience)) throw new TimeoutException("the publisher went silent");
                    continue;
                }

                lost += message.Lost;
                long number = BinaryPrimitives.ReadInt64LittleEndian(message.Bytes);
                if (number == End) break;
                if (number != (heard + lost) % Numbers)
                    throw new InvalidOperationException($"message {number:N0} came after {heard:N0} heard and {lost:N0} lost");
                heard++;
            }

            if (heard + lost != messages) throw new InvalidOperationException($"{heard:N0} heard and {lost:N0} lost are not {messages:N0}");
            BinaryPrimitives.WriteInt64LittleEndian(answer, heard);
            answers.TrySend(answer);
        }
    }

    /// <summary>Payloads that begin with their number, made before the clock runs, as those
    /// of the streams are.</summary>
    private static byte[][] Numbered(int bytes)
    {
        byte[][] payloads = new byte[Numbers][];
        for (int i = 0; i < Numbers; i++) BinaryPrimitives.WriteInt64LittleEndian(payloads[i] = new byte[bytes], i);
        return payloads;
    }

    private static void Publish(MessagePublisher publisher, ReadOnlySpan<byte> payload)
    {
        while (!publisher.TryPublish(payload))
        {
            if (!publisher.WaitToPublish(payload.Length, Patience)) throw new TimeoutException("a subscriber holds the publisher");
        }
    }

    private static long Answer(WorkQueue answers, BenchmarkProcess[] peers)
    {
        WorkLease lease;
        while (!answers.TryLease(out lease))
        {
            if (!answers.WaitToLease(TimeSpan.FromSeconds(1)) && peers.Any(p => !p.IsRunning))
                throw new InvalidOperationException("a subscriber ended early; its message is above");
        }

        long answer = BinaryPrimitives.ReadInt64LittleEndian(lease.Payload.Span);
        lease.Complete();
        return answer;
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
