using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.Benchmarks.Streams;

// Two processes, one ring each way. Every payload is written in full and copied out in full; the first eight bytes count messages and
// are checked, so a run that lost one fails instead of looking fast.

internal static class StreamScenarios
{
    private const int Capacity = 1 << 22, EchoCapacity = 1 << 20, Numbers = 64;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static void Throughput(Report report, NativeBaseline floor, int bytes, long messages, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory.Path });
        var options = new MmapStreamOptions { Capacity = Capacity };
        using MessageSender sender = transport.OpenSender("out", options);
        using MessageReceiver answers = transport.OpenReceiver("back", options);
        using BenchmarkProcess peer = new BenchmarkProcess("stream-drain", directory.Path, Text(bytes), Text(messages), Text(runs + 1));

        byte[][] payloads = Numbered(bytes);
        var rates = new List<double>();
        var peers = new List<double>();
        for (int run = 0; run <= runs; run++)
        {
            Expect(answers, peer); // ready
            long start = Stopwatch.GetTimestamp();
            for (long i = 0; i < messages; i++)
            {
                byte[] payload = payloads[i % Numbers];
                while (!sender.TrySend(payload)) sender.WaitToSend(bytes, Patience);
            }

            Expect(answers, peer); // all read
            double rate = messages / Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (run == 0) continue; // the JIT's run
            rates.Add(rate);
            if (floor.RingRate(bytes, messages) is { } bare) peers.Add(bare);
        }

        report.Add(new Result
        {
            Scenario = "stream.throughput",
            Transport = "mmap",
            Bytes = bytes,
            Value = Math.Round(Result.Median(rates)),
            Unit = "msg/s",
            Runs = rates.ConvertAll(Math.Round),
            Peer = peers.Count > 0 ? Result.Median(peers) : null,
            PeerName = peers.Count > 0 ? "C ring" : null,
            RatioToPeer = Result.MedianRatio(rates, peers),
        });
    }

    public static void RoundTrip(Report report, NativeBaseline floor, int bytes, bool spin, int trips, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory.Path });
        var options = Options(spin);
        using MessageSender sender = transport.OpenSender("out", options);
        using MessageReceiver answers = transport.OpenReceiver("back", options);
        using BenchmarkProcess peer =
            new BenchmarkProcess("stream-echo", directory.Path, Text(bytes), Text(trips), Text(runs + 1), spin ? "spin" : "block");

        byte[] payload = new byte[bytes], copy = new byte[bytes];
        long[] samples = new long[trips];
        var p50 = new List<double>();
        var p99 = new List<double>();
        var peers = new List<double>();
        for (int run = 0; run <= runs; run++)
        {
            Expect(answers, peer); // ready
            for (int i = 0; i < trips; i++)
            {
                BinaryPrimitives.WriteInt64LittleEndian(payload, i);
                long start = Stopwatch.GetTimestamp();
                if (!sender.TrySend(payload)) throw new InvalidOperationException("a ring with one message in it is full");
                Receive(answers, copy, spin);
                samples[i] = Stopwatch.GetTimestamp() - start;
                if (BinaryPrimitives.ReadInt64LittleEndian(copy) != i)
                    throw new InvalidOperationException($"echo {i} came back as another");
            }

            if (run == 0) continue;
            Array.Sort(samples);
            p50.Add(Microseconds(samples[trips / 2]));
            p99.Add(Microseconds(samples[(int)(trips * 0.99)]));
            if (floor.RoundTrip(spin, bytes, trips) is { } bare) peers.Add(bare);
        }

        report.Add(new Result
        {
            Scenario = "stream.roundtrip",
            Transport = "mmap",
            Mode = spin ? "spin" : "block",
            Bytes = bytes,
            Value = Math.Round(Result.Median(p50), 3),
            Unit = "us",
            P50 = Math.Round(Result.Median(p50), 3),
            P99 = Math.Round(Result.Median(p99), 3),
            Runs = p50.ConvertAll(v => Math.Round(v, 3)),
            Peer = peers.Count > 0 ? Result.Median(peers) : null,
            PeerName = peers.Count > 0 ? spin ? "C cache lines" : "C futex" : null,
            RatioToPeer = Result.MedianRatio(p50, peers),
        });
    }

    /// <summary>The peer of <see cref="Throughput"/>.</summary>
    public static void Drain(string directory, int bytes, long messages, int runs)
    {
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory });
        using MessageReceiver receiver = transport.OpenReceiver("out");
        using MessageSender answers = transport.OpenSender("back");
        byte[] copy = new byte[bytes];
        for (int run = 0; run < runs; run++)
        {
            answers.TrySend([]);
            for (long i = 0; i < messages;)
            {
                if (!receiver.TryReceive(out ReadLease lease))
                {
                    if (!receiver.WaitToReceive(Patience)) throw new TimeoutException($"message {i:N0} of {messages:N0} did not come");
                    continue;
                }

                lease.Bytes.CopyTo(copy);
                lease.Dispose();
                if (BinaryPrimitives.ReadInt64LittleEndian(copy) != i % Numbers)
                    throw new InvalidOperationException($"message {i} came as another");
                i++;
            }

            answers.TrySend([]);
        }
    }

    /// <summary>
    /// Payloads that begin with their number. They are made before the clock runs: a payload that is written in its
    /// first eight bytes and copied by wide loads at once would measure that the processor
    /// cannot forward such stores, which no peer does.
    /// </summary>
    private static byte[][] Numbered(int bytes)
    {
        byte[][] payloads = new byte[Numbers][];
        for (int i = 0; i < Numbers; i++) BinaryPrimitives.WriteInt64LittleEndian(payloads[i] = new byte[bytes], i);
        return payloads;
    }

    /// <summary>The peer of <see cref="RoundTrip"/>.</summary>
    public static void Echo(string directory, int bytes, int trips, int runs, bool spin)
    {
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory });
        using MessageReceiver receiver = transport.OpenReceiver("out", Options(spin));
        using MessageSender answers = transport.OpenSender("back", Options(spin));
        byte[] copy = new byte[bytes];
        for (int run = 0; run < runs; run++)
        {
            answers.TrySend([]);
            for (int i = 0; i < trips; i++)
            {
                Receive(receiver, copy, spin);
                if (!answers.TrySend(copy)) throw new InvalidOperationException("a ring with one message in it is full");
            }
        }
    }

    private static MmapStreamOptions Options(bool spin) =>
        new() { Capacity = EchoCapacity, SpinLimit = spin ? TimeSpan.FromSeconds(1) : TimeSpan.Zero };

    private static void Receive(MessageReceiver receiver, byte[] copy, bool spin)
    {
        ReadLease lease;
        while (!receiver.TryReceive(out lease))
        {
            if (!spin && !receiver.WaitToReceive(Patience)) throw new TimeoutException("the other process did not answer");
        }

        lease.Bytes.CopyTo(copy);
        lease.Dispose();
    }

    private static void Expect(MessageReceiver answers, BenchmarkProcess peer)
    {
        while (true)
        {
            if (answers.TryReceive(out ReadLease lease))
            {
                lease.Dispose();
                return;
            }

            if (!answers.WaitToReceive(Patience) && !peer.IsRunning)
                throw new InvalidOperationException("the other process ended early; its message is above");
        }
    }

    private static double Microseconds(long ticks) => ticks * 1e6 / Stopwatch.Frequency;

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
