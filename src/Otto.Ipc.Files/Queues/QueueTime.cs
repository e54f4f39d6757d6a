using System.Diagnostics;

namespace Otto.Ipc.Files.Queues;

// Two clocks: the wall's for what people read and for order, the machine's monotonic one for delays, which
// setting the wall clock must not move.

internal static class QueueTime
{
    private static readonly double TicksAMillisecond = Stopwatch.Frequency / 1000.0;

    public static long UnixMilliseconds => TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>Nanoseconds since 1970, as a file's times are.</summary>
    public static long UnixNanoseconds => (TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * TimeSpan.NanosecondsPerTick;

    /// <summary>What the monotonic clock, which all processes of a machine share, will say
    /// in a while; rounded up.</summary>
    public static long MonotonicMilliseconds(TimeSpan from) =>
        (long)Math.Ceiling(Stopwatch.GetTimestamp() / TicksAMillisecond + from.TotalMilliseconds);

    /// <summary>How long until the monotonic clock says this.</summary>
    public static TimeSpan Until(long monotonicMilliseconds) =>
        TimeSpan.FromMilliseconds(monotonicMilliseconds - Stopwatch.GetTimestamp() / TicksAMillisecond);
}
