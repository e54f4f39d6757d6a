using System.Diagnostics;
using System.Globalization;
using System.Text;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Ipc.Files;

namespace Otto.Ipc.Benchmarks.Stores;

// GET and SET by one caller through the library's own contract, one call after the other, over a store of a task's size: what a program
// without a server pays. A store that is one file is written whole by each SET, so the number of keys is part of the result.

internal static class CallerScenario
{
    private const int Keys = 100, ValueBytes = 64;

    public static async Task GetAndSetAsync(Report report, int operations, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        await using IStoreTransport files = new FilesTransport(new FilesTransportOptions { Directory = directory.Path });
        foreach (IStoreTransport transport in (IStoreTransport[])[files])
        {
            await using IKeyValueStore store = await transport.OpenStoreAsync("bench");
            foreach (bool sets in (bool[])[false, true]) await MeasureAsync(report, transport.Name, store, sets, sets ? operations / 10 : operations, runs);
        }
    }

    private static async Task MeasureAsync(Report report, string transport, IKeyValueStore store, bool sets, int operations, int runs)
    {
        byte[] value = Encoding.UTF8.GetBytes($"\"{new string('v', ValueBytes - 2)}\"");
        string[] keys = [.. Enumerable.Range(0, Keys).Select(i => string.Create(CultureInfo.InvariantCulture, $"key:{i:D8}"))];
        foreach (string key in keys) await store.SetAsync(key, value);
        var rates = new List<double>();
        var p50 = new List<double>();
        var p99 = new List<double>();
        long[] samples = new long[operations];
        for (int run = 0; run <= runs; run++)
        {
            long start = Stopwatch.GetTimestamp(), last = start;
            for (int i = 0; i < operations; i++)
            {
                string key = keys[i * 7 % Keys];
                if (sets) await store.SetAsync(key, value);
                else if (await store.GetAsync(key) is not { Length: ValueBytes }) throw new InvalidOperationException($"{transport} lost {key}");
                long now = Stopwatch.GetTimestamp();
                samples[i] = now - last;
                last = now;
            }

            if (run == 0) continue;
            Array.Sort(samples);
            rates.Add(Math.Round(operations / Stopwatch.GetElapsedTime(start, last).TotalSeconds));
            p50.Add(samples[operations / 2] * 1e6 / Stopwatch.Frequency);
            p99.Add(samples[(int)(operations * 0.99)] * 1e6 / Stopwatch.Frequency);
        }

        report.Add(new Result
        {
            Scenario = sets ? "store.set" : "store.get",
            Transport = transport,
            Mode = string.Create(CultureInfo.InvariantCulture, $"one caller, {Keys} keys, on tmpfs"),
            Bytes = ValueBytes,
            Value = Result.Median(rates),
            Unit = "op/s",
            P50 = Math.Round(Result.Median(p50), 1),
            P99 = Math.Round(Result.Median(p99), 1),
            Runs = rates,
        });
    }
}
