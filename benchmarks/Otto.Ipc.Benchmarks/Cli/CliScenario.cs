using System.Diagnostics;
using Otto.Ipc.Benchmarks.Measuring;

namespace Otto.Ipc.Benchmarks.Cli;

// What a shell waits for: from starting a program to its end, each time a new process. Beside each stands the shortest program there is.

internal static class CliScenario
{
    public static void Start(Report report, int starts, int runs)
    {
        using var directory = ScratchDirectory.InSharedMemory();
        string root = RootOf(AppContext.BaseDirectory), bin = Path.Combine(root, "artifacts", "bin"),
            client = Path.Combine(root, "clients", "bash", "otto.sh"), region = Path.Combine(directory.Path, "region");
        if (!File.Exists(Path.Combine(bin, "otto-mmap-read")))
            throw new FileNotFoundException($"there are no tools in {bin}; run eng/build first");
        Run("bash", ["-c", $"'{bin}/otto-mmap-write' --path '{region}' bench key '{new string('v', 200)}'"], region);

        (string Mode, string Program, string[] Arguments)[] subjects =
        [
            ("true", "/bin/true", []),
            ("otto-mmap-read", Path.Combine(bin, "otto-mmap-read"), ["--path", region, "bench", "key"]),
            ("otto-mmap-write", Path.Combine(bin, "otto-mmap-write"), ["--path", region, "bench", "key", "x"]),
            ("otto ipc ls", Path.Combine(bin, "otto"), ["ipc", "ls", "--dir", directory.Path]),
            .. File.Exists(client)
                ? ((string, string, string[])[])
                [
                    ("bash", "bash", ["-c", "true"]),
                    ("bash, otto_mmap_get", "bash", ["-c", $". '{client}'; otto_mmap_get key"]),
                ]
                : [],
        ];
        var medians = subjects.ToDictionary(s => s.Mode, _ => new List<double>());
        var p99 = subjects.ToDictionary(s => s.Mode, _ => new List<double>());
        for (int run = 0; run <= runs; run++)
        {
            foreach ((string mode, string program, string[] arguments) in subjects)
            {
                double[] samples = [.. Enumerable.Range(0, starts).Select(_ => Run(program, arguments, region)).Order()];
                if (run == 0) continue; // the first starts read the files from the disk
                medians[mode].Add(Math.Round(samples[starts / 2], 2));
                p99[mode].Add(Math.Round(samples[(int)(starts * 0.99)] * 1000, 0));
            }
        }

        foreach ((string mode, _, _) in subjects)
        {
            string floor = mode.StartsWith("bash,", StringComparison.Ordinal) ? "bash" : "true";
            report.Add(new Result
            {
                Scenario = "cli.start",
                Transport = "mmap",
                Mode = mode,
                Bytes = 200,
                Value = Result.Median(medians[mode]),
                Unit = "ms",
                P99 = Result.Median(p99[mode]),
                Runs = medians[mode],
                Peer = mode == floor ? null : Result.Median(medians[floor]),
                PeerName = mode == floor ? null : floor,
            });
        }
    }

    /// <summary>Runs a program to its end.</summary>
    /// <returns>How long it took, in milliseconds.</returns>
    private static double Run(string program, string[] arguments, string region)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true };
        start.Environment["OTTO_MMAP_PATH"] = region;
        long begin = Stopwatch.GetTimestamp();
        using Process process = Process.Start(start)!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        double took = Stopwatch.GetElapsedTime(begin).TotalMilliseconds;
        return process.ExitCode == 0 ? took
            : throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} ended with {process.ExitCode}");
    }

    private static string RootOf(string directory)
    {
        while (!File.Exists(Path.Combine(directory, "Otto.Ipc.sln")))
            directory = Path.GetDirectoryName(directory) ?? throw new DirectoryNotFoundException("not inside the repository");
        return directory;
    }
}
