using System.Diagnostics;
using Otto.Ipc.Platform.Linux;

namespace Otto.Ipc.Platform;

// The clocks that all processes of a machine share, for times that one process stores and another one compares. Setting the wall clock
// moves neither. In a time namespace of Linux a process sees both shifted; here they are those of the machine.

internal static class MachineClock
{
    private static readonly long CoarseShift = HostSystem.UsesLinux ? LinuxClock.MonotonicShift : 0;

    /// <summary>
    /// Milliseconds since the machine started, those in which it was suspended included: what is due at a time of day
    /// is due after a suspension too.
    /// </summary>
    public static long Milliseconds =>
        HostSystem.UsesLinux ? LinuxClock.BootMilliseconds : Stopwatch.GetTimestamp() / (Stopwatch.Frequency / 1000);

    /// <summary>
    /// As <see cref="Milliseconds"/>, read in a few nanoseconds and some milliseconds old, for ages. Whether it counts
    /// suspensions is the system's choice, so compare it only with itself.
    /// </summary>
    public static long CoarseMilliseconds => Environment.TickCount64 - CoarseShift;
}
