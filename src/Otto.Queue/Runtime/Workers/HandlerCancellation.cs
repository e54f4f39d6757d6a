namespace Otto.Queue;

// The token that a worker's handlers get: a source that is used again for each task, and that a timeout, a cancel, a lost lease or a stop
// can fire. Running a task costs it two plain stores and two reads: the thread that fires pays for the fence.

// Not disposed: handlers that would not end still hold the tokens, and a source whose timer is not set holds nothing.
#pragma warning disable CA1001
internal sealed class HandlerCancellation(QueueContext context, CancelRequestSet requests)
#pragma warning restore CA1001
{
    private readonly Lock _firing = new();
    private CancellationTokenSource _plain = new();
    private CancellationTokenSource? _timed;
    private CancellationTokenSource _source = new();
    private ulong _high;
    private ulong _low;
    private int _running;
    private int _wanted;
    private bool _fired;
    private bool _cancelled;
    private CancellationCause _reason;

    /// <summary>Whether a handler runs.</summary>
    internal bool IsRunning => Volatile.Read(ref _running) != 0;

    /// <summary>Whether the token of the run has fired because its time was over.</summary>
    internal bool HasTimedOut => !_fired && ReferenceEquals(_source, _timed) && _source.IsCancellationRequested;

    /// <summary>Begins a run.</summary>
    /// <param name="id">The task.</param>
    /// <param name="timeout">After what time the token fires.</param>
    internal CancellationToken Begin(TaskId id, TimeSpan? timeout)
    {
        _high = id.High;
        _low = id.Low;
        // A source that has a timer costs more to use again, so only runs with a timeout get one.
        _source = timeout is null ? _plain : _timed ??= new CancellationTokenSource(Timeout.InfiniteTimeSpan, context.Clock.Provider);
        // Release: pairs with the acquire in Fire; who sees that something runs must see what.
        Volatile.Write(ref _running, 1);
        if (timeout is { } time) _source.CancelAfter(time);
        return _source.Token;
    }

    /// <summary>Fires the token if a stop or a cancel came before the run was there to be seen.</summary>
    /// <param name="id">The task.</param>
    /// <param name="isCancelled">Whether its route reports that it was cancelled.</param>
    /// <returns>Whether the task was cancelled.</returns>
    internal bool CheckRequests(TaskId id, bool isCancelled)
    {
        if (context.Lifetime.Abort.IsCancellationRequested) Fire(null, CancellationCause.Stopped);
        if (!(requests.Any && requests.TryTake(id)) && !isCancelled) return false;
        Fire(null, CancellationCause.Cancelled);
        return true;
    }

    /// <summary>Ends a run: from now on its token does not fire.</summary>
    /// <returns>Why the token had fired, if it had.</returns>
    internal CancellationCause End()
    {
        Volatile.Write(ref _running, 0);
        // Pairs with the process-wide barrier in Fire: either it sees that nothing runs, or we see that it wants something and let it
        // finish.
        if (Volatile.Read(ref _wanted) != 0) lock (_firing) { }
        CancellationCause reason = _cancelled ? CancellationCause.Cancelled
            : _fired ? _reason
            : ReferenceEquals(_source, _timed) && _source.IsCancellationRequested ? CancellationCause.TimedOut
            : CancellationCause.Undisturbed;
        if (!_fired && _source.TryReset()) return reason;
        // What was fired is left to whoever still fires it: the next run gets another.
        if (ReferenceEquals(_source, _timed)) _timed = null;
        else _plain = new CancellationTokenSource();
        _fired = _cancelled = false;
        return reason;
    }

    /// <summary>Fires the token if that task runs here now.</summary>
    /// <param name="id">The task; <see langword="null"/> for whatever runs.</param>
    /// <param name="reason">Why.</param>
    /// <returns>Whether it runs here.</returns>
    internal bool Fire(TaskId? id, CancellationCause reason)
    {
        lock (_firing)
        {
            Volatile.Write(ref _wanted, 1);
            Interlocked.MemoryBarrierProcessWide();
            bool runs = Volatile.Read(ref _running) != 0 && (id is not { } task || (_high == task.High && _low == task.Low));
            // A cancel ends the task, whatever fired the token before.
            if (runs && reason == CancellationCause.Cancelled) _cancelled = true;
            if (runs && !_fired)
            {
                _reason = reason;
                _fired = true;
                // Elsewhere: what handlers have registered is their own code, and may take long or throw.
                ThreadPool.UnsafeQueueUserWorkItem(static source => Cancel(source), _source, preferLocal: false);
            }

            Volatile.Write(ref _wanted, 0);
            return runs;
        }
    }

    private static void Cancel(CancellationTokenSource source)
    {
        try
        {
            source.Cancel();
        }
        catch (AggregateException)
        {
            // A handler's registration threw; its own run is what that concerns.
        }
    }
}

/// <summary>Why a run's token fired.</summary>
internal enum CancellationCause
{
    Undisturbed,
    TimedOut,
    Cancelled,
    LeaseLost,
    Stopped,
}
