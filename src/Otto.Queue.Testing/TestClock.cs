namespace Otto.Queue.Testing;

// A clock that moves only when a test says so, timers included, so that an hour's back-off takes no time and always the same way.

/// <summary>A clock for tests. Starts at 2000-01-01 00:00 UTC and does not advance until it is moved.</summary>
/// <remarks>Safe for use by any number of threads. Timers fire on the thread that moves the
/// clock, in the order in which they are due.</remarks>
public sealed class TestClock : TimeProvider
{
    private readonly Lock _lock = new();
    private readonly List<TestTimer> _timers = [];
    private readonly DateTimeOffset _start;
    private TimeSpan _passed;

    /// <summary>Makes a clock.</summary>
    /// <param name="start">What it shows at first; 2000-01-01 00:00 UTC by default.</param>
    public TestClock(DateTimeOffset? start = null) => _start = start ?? new DateTimeOffset(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <inheritdoc/>
    public override TimeZoneInfo LocalTimeZone => TimeZoneInfo.Utc;

    /// <summary>How far the clock has been moved.</summary>
    public TimeSpan Passed
    {
        get
        {
            lock (_lock) return _passed;
        }
    }

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => _start + Passed;

    /// <inheritdoc/>
    public override long GetTimestamp() => Passed.Ticks;

    /// <summary>Moves the clock, from timer to timer: each fires at its own time.</summary>
    /// <param name="by">How far; not backwards.</param>
    public void Advance(TimeSpan by)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        TimeSpan target = Passed + by;
        while (NextDue is { } next && next <= target) MoveTo(next);
        MoveTo(target);
    }

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        ArgumentNullException.ThrowIfNull(callback);
        TestTimer timer = new(this, callback, state);
        lock (_lock) _timers.Add(timer);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>When the next timer is due, as <see cref="Passed"/> counts;
    /// <see langword="null"/> if none is set.</summary>
    internal TimeSpan? NextDue
    {
        get
        {
            lock (_lock) return _timers.Min(static t => t.Due);
        }
    }

    /// <summary>Shows a later time and fires what is due then.</summary>
    internal void MoveTo(TimeSpan passed)
    {
        List<TestTimer> due;
        lock (_lock)
        {
            if (passed > _passed) _passed = passed;
            due = [.. _timers.Where(t => t.Due <= _passed).OrderBy(static t => t.Due)];
            foreach (TestTimer timer in due) timer.Due = timer.Period > TimeSpan.Zero ? timer.Due + timer.Period : null;
        }

        foreach (TestTimer timer in due) timer.Fire();
    }

    private sealed class TestTimer(TestClock clock, TimerCallback callback, object? state) : ITimer
    {
        internal TimeSpan? Due { get; set; }

        internal TimeSpan Period { get; private set; }

        internal void Fire() => callback(state);

        public bool Change(TimeSpan dueTime, TimeSpan period)
        {
            bool now;
            lock (clock._lock)
            {
                Due = dueTime == Timeout.InfiniteTimeSpan ? null : clock._passed + dueTime;
                Period = period == Timeout.InfiniteTimeSpan ? TimeSpan.Zero : period;
                now = dueTime == TimeSpan.Zero;
            }

            if (now) ThreadPool.UnsafeQueueUserWorkItem(static c => c.MoveTo(TimeSpan.Zero), clock, preferLocal: false);
            return true;
        }

        public void Dispose()
        {
            lock (clock._lock) clock._timers.Remove(this);
        }

        public ValueTask DisposeAsync()
        {
            Dispose();
            return default;
        }
    }
}
