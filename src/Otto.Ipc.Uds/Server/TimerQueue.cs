using System.Diagnostics;
using Otto.Ipc.Uds.Store;

namespace Otto.Ipc.Uds.Server;

// What happens because nothing happened: silence, a reader that does not read, progress that was held back. Few connections ever have an
// alarm; one that has moved on is found so when its alarm comes, instead of being looked for.

internal enum TimerKind
{
    /// <summary>A first command without a newline was followed by silence, or an answered client by a longer one.</summary>
    Silence,

    /// <summary>A client may have stopped reading.</summary>
    Reading,

    /// <summary>Watchers may be told of progress again.</summary>
    Progress,
}

/// <summary>Something to look at when its time has come.</summary>
internal readonly record struct TimerEntry(TimerKind Kind, Connection? Connection, Entry? Entry);

/// <summary>Alarms in the order of their times.</summary>
internal sealed class TimerQueue
{
    private readonly PriorityQueue<TimerEntry, long> _queue = new();

    public static long Ticks(TimeSpan time) => (long)(time.TotalSeconds * Stopwatch.Frequency);

    public void Set(TimerEntry alarm, long at) => _queue.Enqueue(alarm, at);

    /// <summary>How long the server may sleep, in whole milliseconds, rounded up; -1 for ever.</summary>
    public int Milliseconds(long now)
    {
        if (!_queue.TryPeek(out _, out long at)) return -1;
        return at <= now ? 0 : (int)Math.Min((at - now) * 1000 / Stopwatch.Frequency + 1, int.MaxValue);
    }

    public bool TryTake(long now, out TimerEntry alarm)
    {
        alarm = default;
        return _queue.TryPeek(out _, out long at) && at <= now && _queue.TryDequeue(out alarm, out _);
    }
}
