using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Queues;

// Two clocks: the wall's for what people read and for order, the machine's own for delays, which
// setting the wall clock must not move.

internal static class QueueTime
{
    public static long UnixMilliseconds => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Nanoseconds since 1970, as a file's times are.</summary>
    public static long UnixNanoseconds => (TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;

    /// <summary>What the machine's clock, which all its processes share, will say in a while; rounded up.</summary>
    public static long MachineMilliseconds(TimeSpan from) =>
        MachineClock.Milliseconds + 1 + (long)Math.Ceiling(from.TotalMilliseconds);

    /// <summary>How long until the machine's clock says this.</summary>
    public static TimeSpan Until(long machineMilliseconds) =>
        TimeSpan.FromMilliseconds(machineMilliseconds - MachineClock.Milliseconds);
}
