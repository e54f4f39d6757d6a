namespace Otto.Queue;

// One clock for ages and for what is written into envelopes: monotonic within a process, so that a wall clock that jumps cannot make a task
// wait a year.

internal sealed class QueueClock
{
    private readonly bool _system;
    private readonly long _startTimestamp;
    private readonly long _startTick;
    private readonly long _startMicroseconds;
    private readonly long _frequency;
    private readonly long _ticksPerMicrosecond;

    internal QueueClock(TimeProvider provider)
    {
        Provider = provider;
        _system = ReferenceEquals(provider, TimeProvider.System);
        _startTimestamp = provider.GetTimestamp();
        _startTick = Environment.TickCount64;
        _startMicroseconds = (provider.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks / TimeSpan.TicksPerMicrosecond;
        _frequency = provider.TimestampFrequency;
        _ticksPerMicrosecond = _frequency % 1_000_000 == 0 ? _frequency / 1_000_000 : 0;
    }

    internal TimeProvider Provider { get; }

    internal long Timestamp => Provider.GetTimestamp();

    /// <summary>Microseconds since 1970, exact and monotonic within this process.</summary>
    internal long Now
    {
        get
        {
            long passed = Provider.GetTimestamp() - _startTimestamp;
            // Dividing 128 bits takes longer than looking at the clock, and the usual frequencies are whole microseconds.
            return _startMicroseconds + (_ticksPerMicrosecond != 0 ? passed / _ticksPerMicrosecond
                : (long)(passed * (Int128)1_000_000 / _frequency));
        }
    }

    /// <summary>Gets the same time to within some milliseconds, at a fifth of the cost. Reading the exact clock is a
    /// good part of what a task costs in process.</summary>
    internal long CoarseNow => _system ? _startMicroseconds + ((Environment.TickCount64 - _startTick) * 1000) : Now;

    internal long TimestampAfter(TimeSpan delay) => Timestamp + ToTicks(delay);

    internal long ToTicks(TimeSpan time) => (long)(time.TotalSeconds * _frequency);
}
