namespace Otto.Queue;

// Hands tasks over within this process: into the ring, or to the delayed tasks.

internal sealed class LocalDispatcher(LocalQueue queue, WorkerPool workers, CancelRequestSet requests, bool roundTrip)
{
    /// <summary>Whether nothing stands between a task and the ring.</summary>
    internal bool IsDirect => queue.Accepts && !queue.IsOverflowing && !roundTrip;

    /// <summary>Whether tasks are handled in this process.</summary>
    internal bool Handles => queue.HandlesAny;

    internal string Reason => queue.Reason;

    internal string OverflowReason => queue.OverflowReason;

    internal LocalKeys Keys => queue.Keys;

    /// <summary>Completes when there is room again. Ask for it first, then try once more, then wait.</summary>
    internal Task NextRoom => queue.Space.Next;

    /// <summary>The queue as a planner sees it, for a task that is handled here.</summary>
    /// <param name="state">The queue's state.</param>
    /// <param name="takeAnyRoom">Whether a single free place counts: for callers that have waited.</param>
    internal LocalState State(QueueState state, bool takeAnyRoom) => new()
    {
        Queue = state,
        Accepts = queue.Accepts,
        Works = queue.HandlesAny && state == QueueState.Running,
        HasRoom = takeAnyRoom || !queue.IsOverflowing,
        HasRoomForHeld = queue.Ring.Count < queue.Ring.Capacity,
        FullMode = queue.FullMode,
        Reason = queue.Reason,
        OverflowReason = queue.OverflowReason,
    };

    /// <summary>How many tasks wait here, and how many the ring can hold.</summary>
    internal (int Waiting, int Free, int Capacity) Count() =>
        (queue.Ring.Count + queue.Delayed.Count, queue.Ring.Capacity - queue.Ring.Count, queue.Ring.Capacity);

    /// <summary>Puts a task's object into the ring and wakes a worker.</summary>
    internal bool TryEnqueue(in QueuedTask task)
    {
        if (!queue.TryEnqueue(task)) return false;
        workers.Signal();
        return true;
    }

    /// <summary>Hands a task over, now or after its delay.</summary>
    internal bool TryEnqueue(TaskRegistration registration, object task, in EnvelopeHeader header)
    {
        object handed = roundTrip ? registration.RoundTrip(task) : task;
        if (header.Delay > TimeSpan.Zero)
        {
            return queue.Delayed.TryAdd(Describe(registration, handed, header), header.Delay);
        }

        return TryEnqueue(new QueuedTask
        {
            Task = handed, Registration = registration, Number = header.Id.Low, EnqueuedMicroseconds = header.EnqueuedMicroseconds,
            Metadata = header.Metadata,
        });
    }

    /// <summary>Puts a recurring task in the place of the one that has its key.</summary>
    /// <returns>The task that keeps the key; default if it was replaced.</returns>
    internal TaskId Replace(TaskRegistration registration, object task, in EnvelopeHeader header) =>
        queue.Replace(Describe(registration, roundTrip ? registration.RoundTrip(task) : task, header), header.Delay, requests);

    internal void ReleaseKey(string key, TaskId id) => queue.ReleaseKey(key, id);

    internal static DelayedTask Describe(TaskRegistration registration, object task, in EnvelopeHeader header) => new()
    {
        Registration = registration, Id = header.Id, Task = task, EnqueuedMicroseconds = header.EnqueuedMicroseconds,
        Metadata = header.Metadata, MustWait = true, NotBefore = header.TimeOfDay,
    };

    internal void CountOverflow() => queue.CountOverflow();

    internal void CountRejected() => queue.CountRejected();
}
