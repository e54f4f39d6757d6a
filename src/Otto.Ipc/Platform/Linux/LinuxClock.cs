using System.Globalization;

namespace Otto.Ipc.Platform.Linux;

// The clocks of the machine, as the first time namespace has them. A process in another one sees its clocks shifted by what /proc tells.

internal static class LinuxClock
{
    private const int BootTimeClock = 7;
    private const string FirstNamespace = "time:[4026531834]";

    /// <summary>What CLOCK_MONOTONIC is ahead of the machine's here, in milliseconds.</summary>
    public static readonly long MonotonicShift = ReadShift("monotonic");

    private static readonly long s_bootShift = ReadShift("boottime");

    /// <summary>Milliseconds of the machine's CLOCK_BOOTTIME.</summary>
    public static long BootMilliseconds
    {
        get
        {
            Libc.ClockGetTime(BootTimeClock, out Libc.TimeSpec now);
            return now.Seconds * 1000 + now.Nanoseconds / 1_000_000 - s_bootShift;
        }
    }

    /// <summary>Reads one line of a file that has the shifts of a time namespace.</summary>
    /// <param name="offsets">Its text: the name of a clock, seconds and nanoseconds, a line for each clock.</param>
    /// <param name="clock">Which clock.</param>
    /// <returns>The shift in milliseconds; 0 if the text does not have it.</returns>
    public static long ShiftIn(string offsets, string clock)
    {
        foreach (string line in offsets.Split('\n'))
        {
            string[] words = line.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
            if (words.Length == 3 && words[0] == clock
                && long.TryParse(words[1], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long seconds)
                && long.TryParse(words[2], NumberStyles.None, CultureInfo.InvariantCulture, out long nanoseconds))
                return seconds * 1000 + nanoseconds / 1_000_000;
        }

        return 0;
    }

    private static long ReadShift(string clock)
    {
        try
        {
            // The file tells of the namespace that a child would be in, which is this process's own unless it has just left that.
            if (Namespace("time") is not { } own || own == FirstNamespace || own != Namespace("time_for_children")) return 0;
            return ShiftIn(File.ReadAllText("/proc/self/timens_offsets"), clock);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return 0; // a kernel without time namespaces
        }
    }

    private static string? Namespace(string name) => new FileInfo("/proc/self/ns/" + name).LinkTarget;
}
