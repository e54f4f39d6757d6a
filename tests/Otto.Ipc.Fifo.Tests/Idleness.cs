using System.Diagnostics;
using System.Globalization;
using Otto.Ipc.Conformance;

namespace Otto.Ipc.Fifo.Tests;

// How much of a processor another process takes while it has nothing to do.

internal sealed class Idleness(int process)
{
    private const double TicksASecond = 100;

    /// <summary>The share of one processor, over a time that begins once the process has settled.</summary>
    public double ShareOver(TimeSpan time)
    {
        // Its runtime compiles what it began with for a while.
        double before = Ticks();
        Watch.Until(
            () =>
            {
                Thread.Sleep(100);
                double now = Ticks();
                bool settled = now - before <= 3;
                before = now;
                return settled;
            },
            "the process to settle: it burns a processor");
        long start = Stopwatch.GetTimestamp();
        Thread.Sleep(time);
        return (Ticks() - before) / TicksASecond / Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    private double Ticks()
    {
        string stat = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
        string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
        return double.Parse(fields[11], CultureInfo.InvariantCulture) + double.Parse(fields[12], CultureInfo.InvariantCulture);
    }
}
