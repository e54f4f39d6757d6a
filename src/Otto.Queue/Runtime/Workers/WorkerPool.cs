using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Otto.Queue;

// Who is awake. One signal wakes a worker for all routes, and at most one worker at a time is on its way or looking round:
// a burst of enqueues then costs one wake, and the woken worker wakes the next if it leaves work behind.

internal sealed class WorkerPool(QueueContext context, HandlerScope handlers, IsolationGate isolation) : ITaskConsumer
{
    // A wake-up costs about as much as the longest search.
    private static readonly long LongestSearch = Stopwatch.Frequency / 1_000_000 * 30;
    private static readonly long ShortestSearch = Stopwatch.Frequency / 1_000_000 * 2;

    private const int MostEndingSoon = 32;

    private Worker[] _workers = [];
    private TaskSource? _source;
    private readonly Lock _pace = new();
    private TaskCompletionSource? _quiet;
    private long _pacedAt;
    private long _endedThen;
    private int _endingSoon;
    private long _searchTicks = LongestSearch;
    private Hot _hot;

    /// <summary>Makes the workers, all of them at rest: <see cref="Signal"/> wakes the first.</summary>
    /// <param name="source">Where they get tasks.</param>
    /// <param name="count">How many tasks can run at the same time.</param>
    /// <param name="createRun">Makes what a worker runs its tasks with.</param>
    internal void Start(TaskSource source, int count, Func<TaskRun> createRun)
    {
        _source = source;
        Worker[] workers = new Worker[count];
        int top = 0;
        for (int i = count - 1; i >= 0; i--)
        {
            workers[i] = new Worker(this, source, handlers, createRun(), i) { NextIdle = top };
            top = i + 1;
        }

        _workers = workers;
        // Release: pairs with the acquire of IdleTop in Signal and Wake; who sees an idle worker must see the workers.
        Volatile.Write(ref _hot.IdleTop, top);
    }

    /// <summary>How many tasks can run at the same time; 0 before the start.</summary>
    internal int Size => _workers.Length;

    // Asked only once there are workers, or by a stop.
    private bool HasWork => _source is { HasWork: true };

    /// <summary>How many workers are running a task or looking for one.</summary>
    internal int Awake => Volatile.Read(ref _hot.Awake);

    /// <summary>How many tasks could be started now, or within 2 ms at the pace at which tasks have been
    /// ending.</summary>
    /// <remarks>Without the second half a route whose answers take longer than its tasks would get one task a round
    /// trip, however fast they end.</remarks>
    public int AvailableWorkers
    {
        get
        {
            int idle = _workers.Length - Awake;
            long now = Environment.TickCount64;
            lock (_pace)
            {
                if (now - _pacedAt >= 2)
                {
                    long ended = 0;
                    foreach (Worker worker in _workers) ended += worker.Run.Completed;
                    _endingSoon = now - _pacedAt > 1000 ? 0 : (int)Math.Min((ended - _endedThen) * 2 / (now - _pacedAt), MostEndingSoon);
                    _endedThen = ended;
                    _pacedAt = now;
                }

                return Math.Max(idle, _endingSoon);
            }
        }
    }

    public bool RunsSeveral => isolation.RunsSeveral;

    public void OnLeaseLost(TaskId id)
    {
        context.Log.LeaseLost(context.Name, id);
        context.Telemetry.LeaseLost(context.NameTag);
        Fire(id, CancellationCause.LeaseLost);
    }

    /// <summary>How many tasks ended well, and how many attempts failed.</summary>
    internal (long Completed, long Failed) Count()
    {
        long completed = 0, failed = 0;
        foreach (Worker worker in _workers)
        {
            completed += worker.Run.Completed;
            failed += worker.Run.Failed;
        }

        return (completed, failed);
    }

    /// <summary>What each handler here waits for, if every place has a handler that waits for tasks; else
    /// <see langword="null"/>.</summary>
    internal List<string[]>? WaitsOfAll()
    {
        List<string[]> all = [];
        foreach (Worker worker in _workers)
        {
            if (!worker.Run.IsRunning || worker.Place.Waits is not { Length: > 0 } waits) return null;
            all.Add(waits);
        }

        return all.Count == 0 ? null : all;
    }

    /// <summary>How many attempts began here, other than those that ran alone.</summary>
    internal long Starts => _workers.Sum(static worker => worker.Run.Starts);

    /// <summary>Fires the token of a task that runs here.</summary>
    internal bool Fire(TaskId id, CancellationCause cause) => Fire(id, cause, out _, out _);

    /// <inheritdoc cref="Fire(TaskId, CancellationCause)"/>
    /// <param name="id">The task.</param>
    /// <param name="cause">Why.</param>
    /// <param name="key">Its key, if it has one.</param>
    /// <param name="isOnRoute">Whether it is kept on a route too.</param>
    internal bool Fire(TaskId id, CancellationCause cause, out string? key, out bool isOnRoute)
    {
        foreach (Worker worker in _workers)
        {
            if (!worker.Run.Fire(id, cause)) continue;
            // Whose they are is checked where they are used: the next task may run by now.
            key = worker.Run.Metadata?.UniqueKey;
            isOnRoute = worker.Run.IsOnRoute;
            return true;
        }

        key = null;
        return isOnRoute = false;
    }

    /// <summary>Fires the tokens of all tasks that run here.</summary>
    internal void FireAll(CancellationCause cause)
    {
        foreach (Worker worker in _workers) worker.Run.Fire(null, cause);
    }

    internal void LogUnexpected(Exception e) => context.Log.WorkerError(context.Name, BoundedError.ForLog(e));

    /// <summary>Reports that there may be work. What was published before is seen by the worker that looks.</summary>
    internal void Signal()
    {
        // No fence: Park brings one to every processor. Either we see the parked worker, or it sees what we published.
        if (Volatile.Read(ref _hot.IdleTop) == 0) return;
        // Full fence: pairs with the one in EndSearchFound. If somebody still searches after it, that worker will see what we published.
        Interlocked.MemoryBarrier();
        if (Volatile.Read(ref _hot.Searching) == 0) Wake();
    }

    private void Wake()
    {
        while (Volatile.Read(ref _hot.IdleTop) != 0)
        {
            // Whoever searches has not looked yet, or will look again after it says so (EndSearch).
            if (Interlocked.CompareExchange(ref _hot.Searching, 1, 0) != 0) return;
            if (TryPop() is { } worker)
            {
                Interlocked.Increment(ref _hot.Awake);
                worker.Schedule();
                return;
            }

            // A worker may have parked, and seen us as the searcher, since we found nobody.
            Interlocked.Exchange(ref _hot.Searching, 0);
            if (!HasWork) return;
        }
    }

    /// <summary>Makes a worker that ran out of work the one that polls a little longer.</summary>
    /// <returns><see langword="false"/> if another does already.</returns>
    internal bool TryBeginSearch() => Interlocked.CompareExchange(ref _hot.Searching, 1, 0) == 0;

    /// <summary>How long a search may take: as long as it pays, and hardly at all once it does not.</summary>
    internal long SearchTicks => _searchTicks;

    internal void NoteSearch(bool paid) => _searchTicks = paid ? LongestSearch : Math.Max(ShortestSearch, _searchTicks / 2);

    /// <summary>Ends the search of a worker that found something.</summary>
    internal void EndSearchFound()
    {
        // Full fence: a producer that saw us searching did not wake anyone, so what it published must be seen now.
        Interlocked.Exchange(ref _hot.Searching, 0);
        if (Volatile.Read(ref _hot.IdleTop) != 0 && HasWork) Wake();
    }

    /// <summary>Ends the search of a worker that found nothing. It parks next, which looks once more.</summary>
    internal void EndSearchEmpty() => Interlocked.Exchange(ref _hot.Searching, 0);

    /// <summary>Puts a worker to rest. It may be running again on another thread before this returns: touch nothing of
    /// it afterwards.</summary>
    internal void Park(Worker worker)
    {
        int self = worker.Index + 1;
        int top;
        do
        {
            top = Volatile.Read(ref _hot.IdleTop);
            worker.NextIdle = top;
        }
        while (Interlocked.CompareExchange(ref _hot.IdleTop, self, top) != top);

        int awake = Interlocked.Decrement(ref _hot.Awake);
        // A fence on every processor: pairs with the plain look in Signal. Whoever goes to sleep pays, not whoever brings work.
        Interlocked.MemoryBarrierProcessWide();
        if (HasWork) Wake();
        else if (awake == 0) Volatile.Read(ref _quiet)?.TrySetResult();
    }

    /// <summary>Waits until every worker rests and there is nothing that it could take.</summary>
    internal async Task<bool> WaitUntilQuietAsync(CancellationToken deadline)
    {
        while (true)
        {
            TaskCompletionSource quiet = new(TaskCreationOptions.RunContinuationsAsynchronously);
            Interlocked.Exchange(ref _quiet, quiet);
            if (Awake == 0 && !HasWork) return true;
            try
            {
                await quiet.Task.WaitAsync(deadline).ConfigureAwait(false);
            }
            catch (OperationCanceledException)
            {
                return Awake == 0 && !HasWork;
            }
        }
    }

    // Only the holder of Searching pops, so a popped worker cannot come back in between (no ABA).
    private Worker? TryPop()
    {
        while (true)
        {
            int top = Volatile.Read(ref _hot.IdleTop);
            if (top == 0) return null;
            Worker worker = _workers[top - 1];
            if (Interlocked.CompareExchange(ref _hot.IdleTop, worker.NextIdle, top) == top) return worker;
        }
    }

    // Read by every producer, written only when somebody parks or wakes: away from what is written all the time.
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    private struct Hot
    {
        [FieldOffset(128)]
        internal int IdleTop;

        [FieldOffset(132)]
        internal int Searching;

        [FieldOffset(136)]
        internal int Awake;
    }
}
