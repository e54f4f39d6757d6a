using System.Diagnostics;

namespace Otto.Ipc.Mmap.Doorbells;

// How long to look before sleeping. A sleep costs tens of microseconds for both sides; a look that never pays off costs a core.

/// <summary>Adapts to what paid off lately: doubles where looking was enough, halves where
/// it ended in a sleep.</summary>
internal sealed class SpinBudget
{
    private const long TightLooks = 128;
    private readonly long _limit;
    private long _budget;

    /// <param name="limit">The longest spin. Zero never spins. On one core no waiter spins, because the process that
    /// it waits for could not run.</param>
    public SpinBudget(TimeSpan limit)
    {
        _limit = Environment.ProcessorCount == 1 ? 0 : limit.Ticks * Stopwatch.Frequency / TimeSpan.TicksPerSecond;
        _budget = _limit / 2;
    }

    /// <summary>How long the next spin looks.</summary>
    public TimeSpan Budget => TimeSpan.FromTicks(_budget * TimeSpan.TicksPerSecond / Stopwatch.Frequency);

    /// <summary>Looks until it is ready or the budget is spent.</summary>
    public bool Spin(IReadiness readiness)
    {
        long budget = _budget;
        if (budget == 0) return false;
        long end = 0;
        for (long look = 0; ; look++)
        {
            if (readiness.Poll())
            {
                // Never less than an eighth of the limit while it pays, so that it can grow again.
                _budget = Math.Min(_limit, Math.Max(budget * 2, _limit / 8));
                return true;
            }

            if (look < TightLooks) continue;
            // Whoever is waited for may need this very core.
            Thread.Yield();
            long now = Stopwatch.GetTimestamp();
            if (end == 0) end = now + budget;
            else if (now >= end) break;
        }

        _budget = Math.Max(budget / 2, _limit / 16);
        return false;
    }
}
