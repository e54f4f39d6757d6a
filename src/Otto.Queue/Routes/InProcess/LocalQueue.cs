using System.Collections.Concurrent;

namespace Otto.Queue;

// The route within this process: the ring of objects, the tasks that are delayed here, when the ring takes tasks, and when tasks go
// elsewhere although it may have room.

internal sealed class LocalQueue
{
    private const int FewestForHysteresis = 4;

    private readonly int _enoughRoomBelow;
    private readonly bool _overflows;
    private volatile bool _accepts;
    private volatile bool _overflowing;
    private long _overflowed;
    private long _rejected;

    internal LocalQueue(InProcessOptions options, QueueClock clock, bool handlesAny, bool hasOtherRoutes, Action onDelayedDue)
    {
        // Where nothing is handled nothing is ever put in, so the ring need not be there.
        Ring = new TaskRing(handlesAny ? options.Capacity : 1);
        HandlesAny = handlesAny;
        Weight = options.Weight;
        Space = new SpaceAvailableSignal(options.Capacity);
        Delayed = new DelayedTaskQueue(clock, options.Capacity, onDelayedDue, Space.ReleaseWaiters);
        FullMode = options.FullMode;
        OverflowReason = RouteReason.Overflowed(options.Capacity);
        _enoughRoomBelow = options.Capacity - (options.Capacity / 4);
        _overflows = options.FullMode == QueueFullMode.Overflow && hasOtherRoutes;
    }

    internal TaskRing Ring { get; }

    internal DelayedTaskQueue Delayed { get; }

    /// <summary>How many tasks each worker takes from the ring before other routes have their turn.</summary>
    internal int Weight { get; }

    /// <summary>Whether tasks of this queue are handled in this process.</summary>
    internal bool HandlesAny { get; }

    internal SpaceAvailableSignal Space { get; }

    internal LocalKeys Keys { get; } = new();

    internal QueueFullMode FullMode { get; }

    internal string OverflowReason { get; }

    /// <summary>Why a task may go into the ring.</summary>
    internal string Reason { get; private set; } = RouteReason.OnlyRoute;

    /// <summary>Whether tasks for a handler here may be put into the ring.</summary>
    internal bool Accepts => _accepts;

    internal long Overflowed => Volatile.Read(ref _overflowed);

    internal long Rejected => Volatile.Read(ref _rejected);

    /// <summary>Whether tasks overflow although there may be room: from when the ring was full until a quarter of it is
    /// free, so that tasks do not change their route with each place.</summary>
    internal bool IsOverflowing
    {
        get
        {
            if (!_overflowing) return false;
            if (Ring.Count > _enoughRoomBelow) return true;
            return _overflowing = false;
        }
    }

    internal void Accept() => _accepts = true;

    internal void OnWorkersStarted() => Reason = RouteReason.WorkerHere;

    /// <summary>Refuses every further task. What was put in stays in.</summary>
    internal void StopAccepting() => _accepts = false;

    internal bool TryEnqueue(in QueuedTask task)
    {
        if (Ring.TryEnqueue(task)) return true;
        if (_overflows && Ring.Capacity >= FewestForHysteresis) _overflowing = true;
        return false;
    }

    internal bool TryDequeue(out QueuedTask task)
    {
        if (!Ring.TryDequeue(out task)) return false;
        if (Space.HasWaiters) Space.OnDequeued(Ring.Count);
        return true;
    }

    /// <summary>Lets a recurring task wait for its next time.</summary>
    /// <returns><see langword="false"/> if another took its place: that one waits now.</returns>
    internal bool TryRepeat(DelayedTask task, TimeSpan interval)
    {
        if (task.Metadata is not { KeyIsLocal: true, UniqueKey: { } key }) return Delayed.TryAdd(task, interval, ignoreBound: true);
        lock (Keys.Lock)
        {
            if (Keys.OwnerOf(key) == task.Id) return Delayed.TryAdd(task, interval, ignoreBound: true);
        }

        ReleaseKey(key, task.Id);
        return false;
    }

    /// <summary>Frees the key of a task that has ended. A recurring task that has taken its place begins.</summary>
    internal void ReleaseKey(string key, TaskId id)
    {
        if (Keys.Release(key, id) is { } next) Delayed.TryAdd(next.Task, next.Delay, ignoreBound: true);
    }

    /// <summary>Puts a recurring task in the place of the one that has its key.</summary>
    /// <param name="task">The new task.</param>
    /// <param name="delay">How long it waits.</param>
    /// <param name="requests">Where a worker finds that it is to pass over the old one.</param>
    /// <returns>The task that keeps the key, because it is the same or does not recur; default if it was
    /// replaced.</returns>
    internal TaskId Replace(DelayedTask task, TimeSpan delay, CancelRequestSet requests)
    {
        string key = task.Metadata!.UniqueKey!;
        lock (Keys.Lock)
        {
            if (Keys.RecurringOf(key, out bool isCancelled) is not { } old)
            {
                TaskId owner = Keys.OwnerOf(key);
                if (owner != default) return owner;
                Keys.TryAdd(key, task);
                Delayed.TryAdd(task, delay, ignoreBound: true);
                return default;
            }

            if (!isCancelled && old.IsSameAs(task)) return old.Id;
            if (Delayed.TryRemove(old.Id) is not null)
            {
                Keys.Set(key, task);
                Delayed.TryAdd(task, delay, ignoreBound: true);
                return default;
            }

            // It runs, or is about to: the new one begins when it has ended.
            Keys.SetNext(key, task, delay);
            if (Ring.Holds(old.Id.Low)) requests.Add(old.Id);
            return default;
        }
    }

    internal void CountOverflow() => Interlocked.Increment(ref _overflowed);

    internal void CountRejected() => Interlocked.Increment(ref _rejected);
}
