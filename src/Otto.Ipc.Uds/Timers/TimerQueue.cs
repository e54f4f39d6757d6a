using System.Diagnostics;

namespace Otto.Ipc.Uds.Timers;

// What is to be done later, without a timer for each: an entry that has become needless is found so when
// its time comes, instead of being looked for.

/// <summary>Entries in the order of the times at which they are due.</summary>
internal sealed class TimerQueue<T>
{
    private readonly PriorityQueue<T, long> _queue = new();

    public void Set(T entry, long at) => _queue.Enqueue(entry, at);

    /// <summary>How long it is until the first entry is due, in whole milliseconds, rounded
    /// up; -1 if there is none.</summary>
    public int Milliseconds(long now)
    {
        return _queue.TryPeek(out _, out long at) ? TimeStamps.MillisecondsUntil(at, now) : -1;
    }

    /// <summary>Takes the next entry that is due.</summary>
    public bool TryTake(long now, out T entry)
    {
        entry = default!;
        return _queue.TryPeek(out _, out long at) && at <= now && _queue.TryDequeue(out entry!, out _);
    }
}

/// <summary>Spans of time as time stamps count them.</summary>
internal static class TimeStamps
{
    public static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    /// <summary>How long it is until a time, in whole milliseconds, rounded up; 0 if it has come.</summary>
    public static int MillisecondsUntil(long at, long now) =>
        at <= now ? 0 : (int)Math.Min((at - now) * 1000 / Stopwatch.Frequency + 1, int.MaxValue);
}
