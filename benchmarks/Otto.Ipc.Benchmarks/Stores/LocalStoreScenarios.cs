using System.Diagnostics;
using System.Globalization;
using System.Text;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Hosting;

namespace Otto.Ipc.Benchmarks.Stores;

// GET and SET of stores that have no server: each call reads or writes the shared file itself, so its cost grows with what the store holds.

internal static class LocalStoreScenarios
{
    private const int ValueBytes = 64;

    public static void GetAndSet(Report report, int operations, int keys, int runs)
    {
        foreach (string scheme in (string[])["mmap", "files"])
        {
            using var directory = ScratchDirectory.InSharedMemory();
            ITransport transport = OttoTransport.Open($"{scheme}://{directory.Path}");
            IKeyValueStore store = transport.Require<IStoreTransport>().OpenStoreAsync("bench").AsTask().GetAwaiter().GetResult();
            byte[] value = Encoding.UTF8.GetBytes($"\"{new string('v', ValueBytes - 2)}\"");
            for (int i = 0; i < keys; i++) Wait(store.SetAsync(Key(i), value));
            foreach (bool sets in (bool[])[false, true]) Measure(report, store, scheme, sets, value, operations, keys, runs);
            store.DisposeAsync().AsTask().Wait();
        }
    }

    private static void Measure(Report report, IKeyValueStore store, string scheme, bool sets, byte[] value, int operations, int keys,
        int runs)
    {
        List<double> rates = [], p50 = [], p99 = [];
        long[] samples = new long[operations];
        for (int run = 0; run <= runs; run++)
        {
            long begin = Stopwatch.GetTimestamp();
            for (int i = 0; i < operations; i++)
            {
                long start = Stopwatch.GetTimestamp();
                value[1] = (byte)('a' + i % 26); // a value that is set again unchanged is no write
                if (sets) Wait(store.SetAsync(Key(i % keys), value));
                else if (store.GetAsync(Key(i % keys)).AsTask().GetAwaiter().GetResult()!.Value.Length != ValueBytes)
                    throw new InvalidOperationException("another value than was set");
                samples[i] = Stopwatch.GetTimestamp() - start;
            }

            double rate = operations / Stopwatch.GetElapsedTime(begin).TotalSeconds;
            if (run == 0) continue; // the JIT's run
            Array.Sort(samples);
            rates.Add(Math.Round(rate));
            p50.Add(samples[operations / 2] * 1e6 / Stopwatch.Frequency);
            p99.Add(samples[(int)(operations * 0.99)] * 1e6 / Stopwatch.Frequency);
        }

        report.Add(new Result
        {
            Scenario = sets ? "store.set" : "store.get",
            Transport = scheme,
            Mode = string.Create(CultureInfo.InvariantCulture, $"1 thread, {keys} keys"),
            Bytes = ValueBytes,
            Value = Result.Median(rates),
            Unit = "op/s",
            P50 = Math.Round(Result.Median(p50), 1),
            P99 = Math.Round(Result.Median(p99), 1),
            Runs = rates,
        });
    }

    private static string Key(int i) => string.Create(CultureInfo.InvariantCulture, $"task.{i:0000}");

    private static void Wait(ValueTask task)
    {
        if (!task.IsCompletedSuccessfully) task.AsTask().GetAwaiter().GetResult();
    }
}
