namespace Otto.Queue;

// How often and after what pause a failed task is tried again.

internal sealed class RetryPolicy(HandlerOptions options)
{
    private readonly TimeSpan _first = options.FirstDelay;
    private readonly TimeSpan _max = options.MaxDelay;
    private readonly double _factor = options.Factor;
    private readonly double _jitter = options.Jitter;

    internal int MaxAttempts { get; } = options.Retries + 1;

    /// <summary>The pause after a failed attempt.</summary>
    /// <param name="attempt">The attempt that failed, from 1.</param>
    /// <param name="random">A number from 0 to 1: which part of the jitter is taken off.</param>
    internal TimeSpan DelayAfter(int attempt, double random)
    {
        double ticks = Math.Min(_first.Ticks * Math.Pow(_factor, attempt - 1), _max.Ticks);
        return TimeSpan.FromTicks((long)(ticks * (1 - (_jitter * random))));
    }
}
