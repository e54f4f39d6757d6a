namespace Otto.Queue;

// Where tasks that are only objects of this process wait for a back-off or a delay: bounded, with one timer for all of them.
// A task that lives on a route beyond waits there (docs/decisions/0021).

internal sealed class DelayedTaskQueue : IDisposable
{
    private static readonly TimeSpan Shortest = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

    private readonly Lock _lock = new();
    private readonly PriorityQueue<DelayedTask, (long Due, long Number)> _later = new();
    private readonly Queue<DelayedTask> _ready = new();
    private readonly QueueClock _clock;
    private readonly int _bound;
    private readonly Action _wake;
    private readonly Action? _onRoom;
    private readonly ITimer _timer;
    private volatile bool _hasReady;
    private long _number;
    private (long NotBefore, long Due) _lastTime;

    internal DelayedTaskQueue(QueueClock clock, int bound, Action wake, Action? onRoom = null)
    {
        _onRoom = onRoom;
        _clock = clock;
        _bound = bound;
        _wake = wake;
        _timer = clock.Provider.CreateTimer(static queue => ((DelayedTaskQueue)queue!).OnTimer(), this, Timeout.InfiniteTimeSpan,
            Timeout.InfiniteTimeSpan);
    }

    /// <summary>Whether a task can be taken now.</summary>
    internal bool HasReady => _hasReady;

    internal int Count
    {
        get
        {
            lock (_lock) return _later.Count + _ready.Count;
        }
    }

    /// <summary>Whether a task waits for its next attempt, and not for a delay or an interval.</summary>
    internal bool HasRetries
    {
        get
        {
            lock (_lock) return _ready.Count > 0 || _later.UnorderedItems.Any(static t => !t.Element.MustWait);
        }
    }

    /// <summary>Lets a task wait.</summary>
    /// <returns><see langword="false"/> if it is full: the worker must sit out the delay itself, which bounds what can
    /// pile up.</returns>
    internal bool TryAdd(DelayedTask task, TimeSpan delay, bool ignoreBound = false)
    {
        lock (_lock)
        {
            if (!ignoreBound && _later.Count + _ready.Count >= _bound) return false;
            long due = _clock.TimestampAfter(delay);
            // The same time of day is the same time here, however the clocks were read: tasks of one time keep their order.
            if (task.NotBefore != 0)
            {
                if (_lastTime.NotBefore == task.NotBefore) due = _lastTime.Due;
                else _lastTime = (task.NotBefore, due);
            }

            task.Due = due;
            bool first = !_later.TryPeek(out _, out (long Due, long Number) earliest) || due < earliest.Due;
            _later.Enqueue(task, (due, _number++));
            if (first) SetTimer(delay);
            return true;
        }
    }

    /// <summary>Puts a task where the next worker finds it, whatever the bound: used where it was taken from something
    /// bounded.</summary>
    internal void AddReady(DelayedTask task)
    {
        lock (_lock)
        {
            _ready.Enqueue(task);
            _hasReady = true;
        }
    }

    internal bool TryTake(out DelayedTask? task)
    {
        task = null;
        if (!_hasReady) return false;
        bool taken;
        lock (_lock)
        {
            taken = _ready.TryDequeue(out task);
            _hasReady = _ready.Count > 0;
        }

        if (taken) _onRoom?.Invoke();
        return taken;
    }

    /// <summary>Takes one task out before its time.</summary>
    internal DelayedTask? TryRemove(TaskId id)
    {
        DelayedTask? removed = Remove(id);
        if (removed is not null) _onRoom?.Invoke();
        return removed;
    }

    private DelayedTask? Remove(TaskId id)
    {
        lock (_lock)
        {
            DelayedTask? found = _ready.FirstOrDefault(t => t.Id == id);
            if (found is not null)
            {
                List<DelayedTask> others = [.. _ready.Where(t => !ReferenceEquals(t, found))];
                _ready.Clear();
                foreach (DelayedTask other in others) _ready.Enqueue(other);
                _hasReady = _ready.Count > 0;
                return found;
            }

            found = _later.UnorderedItems.FirstOrDefault(t => t.Element.Id == id).Element;
            if (found is not null) _later.Remove(found, out _, out _);
            return found;
        }
    }

    /// <summary>How long until a task is due.</summary>
    internal TimeSpan TimeLeft(DelayedTask task)
        => TimeSpan.FromSeconds(Math.Max(0, (task.Due - _clock.Timestamp) / (double)_clock.Provider.TimestampFrequency));

    /// <summary>Takes all tasks out, for a stop.</summary>
    internal List<DelayedTask> TakeAll()
    {
        lock (_lock)
        {
            List<DelayedTask> all = [.. _ready];
            while (_later.TryDequeue(out DelayedTask? task, out _)) all.Add(task);
            _ready.Clear();
            _hasReady = false;
            return all;
        }
    }

    private void OnTimer()
    {
        bool wake;
        lock (_lock)
        {
            long now = _clock.Timestamp;
            while (_later.TryPeek(out _, out (long Due, long Number) next))
            {
                long due = next.Due;
                if (due > now)
                {
                    // A timer may fire a little early by this clock.
                    TimeSpan left = TimeSpan.FromSeconds((due - now) / (double)_clock.Provider.TimestampFrequency);
                    SetTimer(left);
                    break;
                }

                _ready.Enqueue(_later.Dequeue());
            }

            wake = _hasReady = _ready.Count > 0;
        }

        if (wake) _wake();
    }

    // A timer takes no more than 49 days; it is set again when it fires early.
    private void SetTimer(TimeSpan delay) =>
        _timer.Change(delay < Shortest ? Shortest : delay < Longest ? delay : Longest, Timeout.InfiniteTimeSpan);

    public void Dispose() => _timer.Dispose();
}

/// <summary>A task between two attempts, or before its time. An object: only delays, failures and stops make
/// one.</summary>
internal sealed record DelayedTask
{
    internal required TaskRegistration Registration { get; init; }

    internal required TaskId Id { get; init; }

    /// <summary>The task's object; <see langword="null"/> if only a route has the task.</summary>
    internal object? Task { get; init; }

    /// <summary>Attempts that have been made in this process.</summary>
    internal int AttemptsMade { get; init; }

    /// <summary>How many of them were deaths of which another task may have been the cause.</summary>
    internal int UnprovenAttempts { get; init; }

    /// <summary>The time of day that its producer asked for, in microseconds; 0 for none.</summary>
    internal long NotBefore { get; init; }

    internal long EnqueuedMicroseconds { get; init; }

    internal TaskMetadata? Metadata { get; init; }

    /// <summary>The task's message on a route, leased by this process; <see langword="null"/> if the task is only an
    /// object.</summary>
    internal HeldMessage? Held { get; init; }

    /// <summary>Whether it may not begin before its time: a delay, and not only a back-off, which a stop need not wait
    /// for.</summary>
    internal bool MustWait { get; init; }

    /// <summary>When it is due, by the clock's timestamp; set by <see cref="DelayedTaskQueue"/>.</summary>
    internal long Due { get; set; }

    internal bool Repeats => Metadata is { Repeats: true };

    /// <summary>Whether another recurring task is the same: its name, its interval and its payload.</summary>
    internal bool IsSameAs(DelayedTask other)
    {
        if (!ReferenceEquals(Registration, other.Registration) || Metadata!.RepeatInterval != other.Metadata!.RepeatInterval) return false;
        if (Equals(Task, other.Task)) return true;
        try
        {
            return Registration.WritesSame(Task!, other.Task!);
        }
        catch (TaskSerializationException)
        {
            return false; // What cannot be compared is taken as new.
        }
    }

    /// <summary>What an envelope says of it.</summary>
    internal EnvelopeHeader Header(int attemptsBefore) =>
        new() { Id = Id, EnqueuedMicroseconds = EnqueuedMicroseconds, AttemptsBefore = attemptsBefore, Metadata = Metadata };
}
