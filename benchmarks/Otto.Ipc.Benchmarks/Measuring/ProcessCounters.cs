using System.Globalization;

namespace Otto.Ipc.Benchmarks.Measuring;

// What the kernel has counted for a process, over all of its threads.

/// <param name="CpuSeconds">Processor time.</param>
/// <param name="Switches">How often a thread was put to sleep or taken off its processor.</param>
internal readonly record struct ProcessCounters(double CpuSeconds, long Switches)
{
    public static ProcessCounters Of(int pid)
    {
        double nanoseconds = 0;
        long switches = 0;
        foreach (string thread in Directory.GetDirectories(string.Create(CultureInfo.InvariantCulture, $"/proc/{pid}/task")))
        {
            try
            {
                nanoseconds += double.Parse(File.ReadAllText(Path.Combine(thread, "schedstat")).Split(' ')[0],
                    CultureInfo.InvariantCulture);
                switches += File.ReadLines(Path.Combine(thread, "status"))
                    .Where(line => line.Contains("ctxt_switches", StringComparison.Ordinal))
                    .Sum(line => long.Parse(line.AsSpan(line.IndexOf(':', StringComparison.Ordinal) + 1).Trim(),
                        CultureInfo.InvariantCulture));
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // A thread that ended between the listing and the look takes its counts with it.
            }
        }

        return new ProcessCounters(nanoseconds / 1e9, switches);
    }
}
