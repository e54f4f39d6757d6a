using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Stores;

// GET and SET on busy connections, one batch of pipelined commands on its way on each. Servers take turns run by run, so that a machine
// that speeds up or slows down does so for all of them.

internal static class StoreScenarios
{
    private const int Connections = 64, Keys = 10_000, ValueBytes = 64;

    public static void GetAndSet(Report report, int operations, int depth, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        using var otto = new OttoServer(directory.Path);
        using RedisServer? redis = RedisServer.TryStart(directory.Path);
        if (redis is null) Console.Error.WriteLine(
            "  no redis-server on the PATH: its figures and the ratios are left out; sudo apt-get install redis-server");
        StoreServer[] servers = redis is null ? [otto] : [otto, redis];
        string value = $"\"{new string('v', ValueBytes - 2)}\"";
        foreach (StoreServer server in servers) Fill(server, value);
        foreach (bool sets in (bool[])[false, true]) Measure(report, servers, sets, value, operations / depth, depth, runs);
    }

    private static void Measure(Report report, StoreServer[] servers, bool sets, string value, int batches, int depth, int runs)
    {
        var rates = servers.ToDictionary(s => s, _ => new List<double>());
        var p50 = servers.ToDictionary(s => s, _ => new List<double>());
        var p99 = servers.ToDictionary(s => s, _ => new List<double>());
        long[] samples = new long[batches];
        for (int run = 0; run <= runs; run++)
        {
            foreach (StoreServer server in servers)
            {
                // Connections of a run are its own, so that no server is measured with another's in its tables.
                using var client = new RawClient(server.Path, Connections,
                    c => server.Batch(sets, value, depth, i => Key((c * 151 + i * 7) % Keys)));
                TimeSpan took = client.Run(batches, samples);
                if (run == 0) continue;
                Array.Sort(samples);
                rates[server].Add(Math.Round(batches * (double)depth / took.TotalSeconds));
                p50[server].Add(Microseconds(samples[batches / 2]));
                p99[server].Add(Microseconds(samples[(int)(batches * 0.99)]));
            }
        }

        StoreServer? peer = servers.Length > 1 ? servers[1] : null;
        foreach (StoreServer server in servers)
        {
            bool compared = peer is not null && server != peer;
            report.Add(new Result
            {
                Scenario = sets ? "store.set" : "store.get",
                Transport = server.Name,
                Mode = string.Create(CultureInfo.InvariantCulture, $"{Connections} connections, {depth} deep"),
                Bytes = ValueBytes,
                Value = Result.Median(rates[server]),
                Unit = "op/s",
                P50 = Math.Round(Result.Median(p50[server]), 1),
                P99 = Math.Round(Result.Median(p99[server]), 1),
                Runs = rates[server],
                Peer = compared ? Result.Median(rates[peer!]) : null,
                PeerName = compared ? peer!.Name : null,
                RatioToPeer = compared ? Result.MedianRatio(rates[server], rates[peer!]) : null,
            });
        }
    }

    private static void Fill(StoreServer server, string value)
    {
        const int Depth = 100;
        int batch = 0;
        using var client = new RawClient(server.Path, Keys / Depth, _ =>
        {
            int first = batch++ * Depth;
            return server.Batch(sets: true, value, Depth, i => Key(first + i));
        });
        client.Run(Keys / Depth, new long[Keys / Depth]);
    }

    private static string Key(int number) => string.Create(CultureInfo.InvariantCulture, $"key:{number:D8}");

    private static double Microseconds(long ticks) => ticks * 1e6 / Stopwatch.Frequency;
}
