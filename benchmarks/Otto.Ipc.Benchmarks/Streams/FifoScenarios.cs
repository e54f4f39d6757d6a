using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Fifo;

namespace Otto.Ipc.Benchmarks.Streams;

// Two processes and two FIFOs, length-prefixed. The first eight bytes of a payload count messages and are checked, as over shared memory.

internal static class FifoScenarios
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    public static void Throughput(Report report, int bytes, long messages, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        using FifoDuplex talk = Open(directory.Path, DuplexSide.Client, bytes);
        using BenchmarkProcess peer = new BenchmarkProcess("fifo-drain", directory.Path, Text(bytes), Text(messages), Text(runs + 1));
        byte[] payload = new byte[bytes];
        var rates = new List<double>();
        for (int run = 0; run <= runs; run++)
        {
            Receive(talk, payload); // ready
            long start = Stopwatch.GetTimestamp();
            for (long i = 0; i < messages; i++)
            {
                BinaryPrimitives.WriteInt64LittleEndian(payload, i);
                Send(talk, payload);
            }

            Receive(talk, payload); // all read
            if (run > 0) rates.Add(messages / Stopwatch.GetElapsedTime(start).TotalSeconds); // the first is the JIT's
        }

        report.Add(new Result
        {
            Scenario = "stream.throughput",
            Transport = "fifo",
            Bytes = bytes,
            Value = Math.Round(Result.Median(rates)),
            Unit = "msg/s",
            Runs = rates.ConvertAll(Math.Round),
        });
    }

    public static void RoundTrip(Report report, NativeBaseline floor, int bytes, int trips, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        using FifoDuplex talk = Open(directory.Path, DuplexSide.Client, bytes);
        using BenchmarkProcess peer = new BenchmarkProcess("fifo-echo", directory.Path, Text(bytes), Text(trips), Text(runs + 1));
        byte[] payload = new byte[bytes];
        long[] samples = new long[trips];
        List<double> p50 = [], p99 = [], peers = [];
        for (int run = 0; run <= runs; run++)
        {
            Receive(talk, payload); // ready
            for (int i = 0; i < trips; i++)
            {
                BinaryPrimitives.WriteInt64LittleEndian(payload, i);
                long start = Stopwatch.GetTimestamp();
                Send(talk, payload);
                Receive(talk, payload);
                samples[i] = Stopwatch.GetTimestamp() - start;
                if (BinaryPrimitives.ReadInt64LittleEndian(payload) != i)
                    throw new InvalidOperationException($"echo {i} came back as another");
            }

            if (run == 0) continue;
            Array.Sort(samples);
            p50.Add(samples[trips / 2] * 1e6 / Stopwatch.Frequency);
            p99.Add(samples[(int)(trips * 0.99)] * 1e6 / Stopwatch.Frequency);
            if (floor.PipeRoundTrip(bytes, trips) is { } bare) peers.Add(bare);
        }

        report.Add(new Result
        {
            Scenario = "stream.roundtrip",
            Transport = "fifo",
            Mode = "block",
            Bytes = bytes,
            Value = Math.Round(Result.Median(p50), 3),
            Unit = "us",
            P50 = Math.Round(Result.Median(p50), 3),
            P99 = Math.Round(Result.Median(p99), 3),
            Runs = p50.ConvertAll(v => Math.Round(v, 3)),
            Peer = peers.Count > 0 ? Result.Median(peers) : null,
            PeerName = peers.Count > 0 ? "C pipes" : null,
            RatioToPeer = Result.MedianRatio(p50, peers),
        });
    }

    /// <summary>The peer of <see cref="Throughput"/>.</summary>
    public static void Drain(string directory, int bytes, long messages, int runs)
    {
        using FifoDuplex talk = Open(directory, DuplexSide.Server, bytes);
        byte[] payload = new byte[bytes];
        for (int run = 0; run < runs; run++)
        {
            Send(talk, payload);
            for (long i = 0; i < messages; i++)
            {
                Receive(talk, payload);
                if (BinaryPrimitives.ReadInt64LittleEndian(payload) != i)
                    throw new InvalidOperationException($"message {i} came as another");
            }

            Send(talk, payload);
        }
    }

    /// <summary>The peer of <see cref="RoundTrip"/>.</summary>
    public static void Echo(string directory, int bytes, int trips, int runs)
    {
        using FifoDuplex talk = Open(directory, DuplexSide.Server, bytes);
        byte[] payload = new byte[bytes];
        for (int run = 0; run < runs; run++)
        {
            Send(talk, payload);
            for (int i = 0; i < trips; i++)
            {
                Receive(talk, payload);
                Send(talk, payload);
            }
        }
    }

    private static FifoDuplex Open(string directory, DuplexSide side, int bytes) =>
        new FifoTransport(new FifoTransportOptions { Directory = directory }).OpenDuplex("bench", side,
            new FifoStreamOptions { Framing = FifoFraming.LengthPrefixed, MaxMessageBytes = bytes });

    private static void Send(FifoDuplex talk, byte[] payload)
    {
        while (!talk.Sender.TrySend(payload))
        {
            if (!talk.Sender.WaitToSend(payload.Length, Patience))
                throw new TimeoutException("the other process takes nothing; its message is above");
        }
    }

    private static void Receive(FifoDuplex talk, byte[] payload)
    {
        while (!talk.Receiver.TryReceive(payload, out _))
        {
            if (!talk.Receiver.WaitToReceive(Patience)) throw new TimeoutException("the other process sends nothing; its message is above");
        }
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
