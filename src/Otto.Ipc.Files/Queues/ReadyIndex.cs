using System.Diagnostics;
using Otto.Ipc.Files.Paths;
using Otto.Ipc.Files.Watching;
using Otto.Ipc.Platform;

namespace Otto.Ipc.Files.Queues;

// What a handle knows of the messages to take: the names as of the last look, used up in order, then looked up anew. A name that another
// took meanwhile fails to be renamed, and the next is tried. For one thread at a time.

internal sealed class ReadyIndex(QueueFiles files, SendSequencer sequence)
{
    // A look lists two directories; it may not take more than a tenth of the time.
    private static readonly TimeSpan LeastAge = TimeSpan.FromMilliseconds(100);
    private const int AgeInLooks = 10;

    private List<MessageName> _names = [];
    private int _next;
    private long _freshUntil;
    private long _earliestDue = long.MaxValue; // By the machine's clock, which a suspension does not stop.

    /// <summary>How long until the next delayed message is due, as far as is known.</summary>
    public TimeSpan NextDueIn => _earliestDue == long.MaxValue ? ChangeWaiter.LongestSleep : Until(_earliestDue);

    /// <summary>Whether there is a message to try.</summary>
    public bool Any()
    {
        long now = Stopwatch.GetTimestamp();
        if (_next == _names.Count || now >= _freshUntil || MachineClock.Milliseconds >= _earliestDue) Refresh(now);
        return _next < _names.Count;
    }

    /// <summary>Gets the next message to try.</summary>
    /// <returns><see langword="true"/> if a message is ready; otherwise, <see langword="false"/>.</returns>
    public bool TryNext(out MessageName name)
    {
        bool any = Any();
        name = any ? _names[_next++] : default;
        return any;
    }

    /// <summary>Forgets what is known, because a message has become ready.</summary>
    public void Forget() => _freshUntil = 0;

    private void Refresh(long now)
    {
        PromoteDue();
        // Read before the directory: names up to this one are seen by the listing, or were taken. One beyond it could be seen while one
        // before it is missed, and would overtake.
        long last = sequence.LastId;
        _names = QueueFiles.MessagesIn(files.Ready);
        _names.RemoveAll(name => name.Id > last && name.Id < MessageName.FirstForeignId);
        _names.Sort();
        _next = 0;
        long took = Stopwatch.GetTimestamp() - now;
        _freshUntil = now + Math.Max((long)(LeastAge.TotalSeconds * Stopwatch.Frequency), AgeInLooks * took);
    }

    /// <summary>Moves messages that are due to the ready ones. Several callers may do so at once: a rename succeeds for
    /// one of them.</summary>
    public void PromoteDue()
    {
        _earliestDue = long.MaxValue;
        foreach (DelayedName delayed in files.DelayedMessages())
        {
            TimeSpan left = delayed.IsDueIn;
            if (left <= TimeSpan.Zero)
                PrivateFile.Move(Path.Combine(files.Delayed, delayed.ToString()), Path.Combine(files.Ready, delayed.Message.ToString()));
            else _earliestDue = Math.Min(_earliestDue, MachineClock.Milliseconds + 1 + (long)left.TotalMilliseconds);
        }
    }

    private static TimeSpan Until(long due) => QueueTime.Until(due) is var left && left > TimeSpan.Zero ? left : TimeSpan.Zero;
}
