namespace Otto.Queue;

// One clock for ages and for what is written into envelopes: monotonic within a process, so that a wall clock that jumps cannot make a task wait a year.

internal sealed class QueueClock
{
    private const long MicrosecondsASecond = 1_000_000;
    private static readonly long LongestMicroseconds = (DateTimeOffset.MaxValue - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;

    private readonly long _startTimestamp;
    private readonly long _startMicroseconds;
    private readonly long _frequency;
    private readonly bool _nanoseconds;

    internal QueueClock(TimeProvider provider)
    {
        Provider = provider;
        _startTimestamp = provider.GetTimestamp();
        _startMicroseconds = (provider.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
        _frequency = provider.TimestampFrequency;
        _nanoseconds = _frequency == 1_000_000_000;
    }

    internal TimeProvider Provider { get; }

    /// <summary>Microseconds since 1970, monotonic within this process.</summary>
    internal long Now => ToMicroseconds(Provider.GetTimestamp());

    internal long Timestamp => Provider.GetTimestamp();

    /// <summary>A timestamp of this process as microseconds since 1970.</summary>
    internal long ToMicroseconds(long timestamp)
    {
        long elapsed = timestamp - _startTimestamp;
        long microseconds = _nanoseconds ? elapsed / 1000 : (long)((Int128)elapsed * MicrosecondsASecond / _frequency);
        return _startMicroseconds + microseconds;
    }

    /// <summary>Another process's microseconds as a date; nonsense is clamped, not thrown at a handler.</summary>
    internal static DateTimeOffset ToDateTime(long microseconds)
        => DateTimeOffset.UnixEpoch.AddTicks(Math.Clamp(microseconds, 0, LongestMicroseconds) * TimeSpan.TicksPerMicrosecond);

    internal long After(TimeSpan delay) => Timestamp + (long)(delay.TotalSeconds * _frequency);
}
