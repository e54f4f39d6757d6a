using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using Otto.Ipc.Benchmarks.Matrix.Results;

namespace Otto.Ipc.Benchmarks.Measuring;

// Where a result comes from.

internal static class Machine
{
    public static string Description
    {
        get
        {
            string model = Field("/proc/cpuinfo", "model name") ?? RuntimeInformation.ProcessArchitecture.ToString();
            string virtually = IsVirtual ? "virtual " : "";
            string memory = Field("/proc/meminfo", "MemTotal") is { } kilobytes
                ? string.Create(CultureInfo.InvariantCulture,
                    $", {Math.Round(long.Parse(kilobytes.Split(' ')[0], CultureInfo.InvariantCulture) / 1024.0 / 1024.0)} GiB") : "";
            return string.Create(CultureInfo.InvariantCulture, $"{model}, {Environment.ProcessorCount} {virtually}cores{memory}");
        }
    }

    /// <summary>The machine in a file's name.</summary>
    public static string ShortName =>
        string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessorCount}-{(IsVirtual ? "virtual-" : "")}cores");

    public static string Kernel => $"{SystemRelease()} {RuntimeInformation.OSArchitecture.ToString().ToLowerInvariant()}";

    public static string Sdk => Output("dotnet", "--version") ?? "unknown";

    public static string Runtime => RuntimeInformation.FrameworkDescription;

    /// <summary>The commit of the checkout, and whether it has changes that are not in it.</summary>
    public static string Commit
    {
        get
        {
            string? commit = Output("git", "rev-parse", "--short", "HEAD");
            return commit is null ? "unknown"
                : Output("git", "status", "--porcelain", "--untracked-files=no", "--", ":!benchmarks/results", ":!README.md",
                    ":!docs") is { Length: > 0 } ? commit + " and changes" : commit;
        }
    }

    /// <summary>The load average over a minute.</summary>
    public static double Load =>
        File.Exists("/proc/loadavg") ? double.Parse(File.ReadAllText("/proc/loadavg").Split(' ')[0], CultureInfo.InvariantCulture) : 0;

    /// <summary>What others take of the processors, in cores, while this process only looks.</summary>
    public static double OthersOver(TimeSpan window)
    {
        if (!File.Exists("/proc/stat")) return 0;
        (long busy, long idle) before = Ticks();
        TimeSpan mine = Environment.CpuUsage.TotalTime;
        long start = Stopwatch.GetTimestamp();
        Thread.Sleep(window);
        (long busy, long idle) after = Ticks();
        double all = after.busy - before.busy + after.idle - before.idle;
        double cores = all == 0 ? 0 : (after.busy - before.busy) / all * Environment.ProcessorCount;
        return Math.Round(Math.Max(0, cores - (Environment.CpuUsage.TotalTime - mine) / Stopwatch.GetElapsedTime(start)), 2);
    }

    private static bool IsVirtual => File.Exists("/proc/cpuinfo")
        && File.ReadLines("/proc/cpuinfo").Any(
            static l => l.StartsWith("flags", StringComparison.Ordinal) && l.Contains(" hypervisor", StringComparison.Ordinal));

    private static (long Busy, long Idle) Ticks()
    {
        // cpu  user nice system idle iowait irq softirq steal …
        long[] fields = [.. File.ReadLines("/proc/stat").First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Select(
            static f => long.Parse(f, CultureInfo.InvariantCulture))];
        long idle = fields[3] + fields[4];
        return (fields.Take(8).Sum() - idle, idle);
    }

    private static string? Field(string file, string name) =>
        File.Exists(file) ? File.ReadLines(file).FirstOrDefault(l => l.StartsWith(name, StringComparison.Ordinal))?.Split(':', 2)[1].Trim()
        : null;

    private static string? Output(string program, params string[] arguments)
    {
        try
        {
            using Process process =
                Process.Start(new ProcessStartInfo(program, arguments) { WorkingDirectory = Checkout.Root, RedirectStandardOutput = true,
                    RedirectStandardError = true })!;
            string output = process.StandardOutput.ReadToEnd().Trim();
            process.WaitForExit();
            return process.ExitCode == 0 ? output : null;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return null;
        }
    }

    private static string SystemRelease()
    {
        const string Release = "/proc/sys/kernel/osrelease";
        return File.Exists(Release) ? "Linux " + File.ReadAllText(Release).Trim() : RuntimeInformation.OSDescription;
    }
}
