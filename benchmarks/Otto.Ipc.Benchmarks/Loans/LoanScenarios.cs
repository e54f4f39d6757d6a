using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Mmap;

namespace Otto.Ipc.Benchmarks.Loans;

// From the sending of a descriptor to the first and the last byte read in another process. The block is filled before the clock starts, and
// each block was mapped by both before: what is measured is the handing over. The other process reads the clock that all processes share.

internal static class LoanScenarios
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly int[] Sizes = [64, 4 << 20, 100 << 20];

    public static void Handover(Report report, int handovers, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory.Path });
        var options = new MmapStreamOptions { SpinLimit = TimeSpan.FromMilliseconds(100), MaxLoanBytes = Sizes.Max() };
        using MessageSender sender = transport.OpenSender("out", options);
        using MessageReceiver answers = transport.OpenReceiver("back", options);
        int warm = Math.Max(4, handovers / 10);
        using BenchmarkProcess peer =
            new BenchmarkProcess("loan-read", directory.Path, Text((long)(runs + 1) * Sizes.Length * (handovers + warm)));

        var medians = Sizes.ToDictionary(size => size, _ => new List<double>());
        var p99 = Sizes.ToDictionary(size => size, _ => new List<double>());
        long[] samples = new long[handovers];
        // Sizes in turns, so that a machine that slows down slows all of them.
        for (int run = 0; run <= runs; run++)
        {
            foreach (int size in Sizes)
            {
                for (int i = -warm; i < handovers; i++)
                {
                    if (!sender.TryLoan(size, out Loan loan))
                        throw new InvalidOperationException("no block is free, although each was read before the next");
                    Span<byte> block = loan.Span;
                    // Written at both ends and in the middle; filling all of it would measure memory, which is not what is handed over.
                    block[0] = (byte)i;
                    block[size / 2] = (byte)i;
                    block[^1] = (byte)i;
                    long start = Stopwatch.GetTimestamp();
                    if (!sender.TrySend(loan, size))
                        throw new InvalidOperationException("the stream is full, although each message was read before the next");
                    long read = Answer(answers, peer);
                    if (i >= 0) samples[i] = read - start;
                }

                Array.Sort(samples);
                if (run == 0) continue; // the JIT's run
                medians[size].Add(samples[handovers / 2] * 1e6 / Stopwatch.Frequency);
                p99[size].Add(samples[(int)(handovers * 0.99)] * 1e6 / Stopwatch.Frequency);
            }
        }

        foreach (int size in Sizes)
        {
            report.Add(new Result
            {
                Scenario = "loan.handover",
                Transport = "mmap",
                Bytes = size,
                Value = Math.Round(Result.Median(medians[size]), 3),
                Unit = "us",
                P50 = Math.Round(Result.Median(medians[size]), 3),
                P99 = Math.Round(Result.Median(p99[size]), 3),
                Runs = medians[size].ConvertAll(v => Math.Round(v, 3)),
                Peer = Math.Round(Result.Median(medians[Sizes[0]]), 3),
                PeerName = "64 B, same run",
                RatioToPeer = Result.MedianRatio(medians[size], medians[Sizes[0]]),
            });
        }
    }

    /// <summary>The peer of <see cref="Handover"/>.</summary>
    public static void Read(string directory, long messages)
    {
        var transport = new MmapTransport(new MmapTransportOptions { Directory = directory });
        var options = new MmapStreamOptions { SpinLimit = TimeSpan.FromMilliseconds(100) };
        using MessageReceiver receiver = transport.OpenReceiver("out", options);
        using MessageSender answers = transport.OpenSender("back", options);
        byte[] answer = new byte[8];
        for (long i = 0; i < messages;)
        {
            if (!receiver.TryReceive(out ReadLease lease))
            {
                if (!receiver.WaitToReceive(Patience)) throw new TimeoutException("the other process went silent");
                continue;
            }

            bool same = lease.Bytes[0] == lease.Bytes[^1];
            long read = Stopwatch.GetTimestamp();
            if (!same || lease.Bytes[lease.Bytes.Length / 2] != lease.Bytes[0]) throw new InvalidOperationException("a block came torn");
            lease.Dispose();
            BinaryPrimitives.WriteInt64LittleEndian(answer, read);
            answers.TrySend(answer);
            i++;
        }
    }

    private static long Answer(MessageReceiver answers, BenchmarkProcess peer)
    {
        while (true)
        {
            if (answers.TryReceive(out ReadLease lease))
            {
                long read = BinaryPrimitives.ReadInt64LittleEndian(lease.Bytes);
                lease.Dispose();
                return read;
            }

            if (!answers.WaitToReceive(Patience) && !peer.IsRunning)
                throw new InvalidOperationException("the other process ended early; its message is above");
        }
    }

    private static string Text(long value) => value.ToString(CultureInfo.InvariantCulture);
}
