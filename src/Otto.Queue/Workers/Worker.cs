using System.Diagnostics;
using System.Runtime.CompilerServices;
using Otto.Ipc;

namespace Otto.Queue;

// One place in which one task at a time runs: Concurrency many of them are a lane's bound.
// A work item of the thread pool that is used again for ever, instead of an async loop: between tasks that end at once it only loops, and it allocates nothing.

internal sealed class Worker : IThreadPoolWorkItem
{
    // After so many tasks, or so long, in a row the thread goes back to the pool, so that other work of the program has its turn.
    private const int Quantum = 2048;
    private const int LookEvery = 16;
    private const int QuantumMilliseconds = 20;

    private readonly Lane _lane;
    private readonly WorkerRoster _roster;
    private readonly TaskContext _context;
    private readonly Action _onEnded;

    private Phase _phase = Phase.Woken;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _running;
    private CancellationTokenSource? _timeout;
    private bool _timed;
    private long _completed;
    private long _failed;

    // The task at hand.
    private TaskBinding _binding = null!;
    private object? _task;
    private ReadOnlyMemory<byte> _payload;
    private WorkLease _lease;
    private RouteQueue? _leasedBy;
    private ActivityContext _trace;

    internal Worker(Lane lane, WorkerRoster roster, int index)
    {
        _lane = lane;
        _roster = roster;
        _context = new TaskContext(lane.Owner) { Queue = lane.Name };
        _onEnded = () => Schedule(preferLocal: true);
        Index = index;
    }

    internal int Index { get; }

    internal int NextIdle;

    /// <summary>Whose turn it is, and for how many tasks more: the lane's to keep.</summary>
    internal int Turn;

    internal int Credit;

    internal long Completed => Volatile.Read(ref _completed);

    internal long Failed => Volatile.Read(ref _failed);

    // A handler's end continues on the pool, never on the thread that ended it: that may be a producer's.
    internal void Schedule(bool preferLocal = false) => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal);

    /// <summary>Fires the running task's token, where it has one of its own.</summary>
    internal void CancelRunning()
    {
        try
        {
            Volatile.Read(ref _timeout)?.Cancel();
        }
        catch (ObjectDisposedException)
        {
            // It ended in this moment.
        }
    }

    void IThreadPoolWorkItem.Execute()
    {
        _lane.Owner.EnterHandlers();
        switch (_phase)
        {
            case Phase.Woken:
                Loop(searching: true);
                return;
            case Phase.HandlerEnded:
                if (!EndHandler()) return;
                break;
            case Phase.FailureEnded:
                EndFailure();
                break;
        }

        Loop(searching: false);
    }

    private void Loop(bool searching)
    {
        long start = Environment.TickCount64;
        for (int left = Quantum; left > 0; left--)
        {
            if (left % LookEvery == 0 && Environment.TickCount64 - start > QuantumMilliseconds) break;
            if (!_lane.TryTake(this, look: false))
            {
                searching = searching || _roster.TryBeginSearch();
                if (!searching || !Search())
                {
                    if (searching) _roster.EndSearchEmpty();
                    _phase = Phase.Woken;
                    _roster.Park(this);
                    return;
                }
            }

            if (searching)
            {
                searching = false;
                _roster.EndSearchFound();
            }

            if (!RunOne()) return;
        }

        if (searching) _roster.EndSearchEmpty();
        _phase = Phase.Yielded;
        Schedule();
    }

    // Sleeping and being woken costs far more than a task does, so the last worker awake looks round for a moment first.
    private bool Search()
    {
        if (Environment.ProcessorCount == 1) return _lane.TryTake(this, look: false);
        long until = Stopwatch.GetTimestamp() + _roster.SearchTicks;
        bool found;
        do
        {
            Thread.SpinWait(8);
            found = _lane.TryTake(this, look: true);
        }
        while (!found && Stopwatch.GetTimestamp() < until);
        _roster.NoteSearch(found);
        return found || _lane.TryTake(this, look: false);
    }

    internal void Load(in QueuedTask task)
    {
        TaskBaggage? baggage = task.Baggage;
        _task = task.Task;
        if (baggage is null)
        {
            _leasedBy = null;
            _trace = default;
        }
        else
        {
            _lease = baggage.Kept;
            _leasedBy = baggage.KeptBy;
            _trace = baggage.Trace;
        }

        Describe(task.Binding, new TaskId(_lane.Owner.Producer, task.Number), 1, Route.InProcess, task.EnqueuedMicroseconds);
        _context.Decoded = true;
    }

    internal void Load(WaitingTask task)
    {
        _task = task.Task;
        _leasedBy = null;
        _trace = task.Trace;
        Describe(task.Binding, task.Id, task.AttemptsMade + 1, Route.InProcess, task.EnqueuedMicroseconds);
        _context.Decoded = true;
    }

    /// <summary>Takes a message from another route, unless it is not one that can be run here; then it is dealt with.</summary>
    internal bool TryLoad(RouteQueue by, in WorkLease lease)
    {
        string? wrong = EnvelopeHeader.Read(lease.Payload.Span, out EnvelopeHeader header, out ReadOnlySpan<byte> name, out int payloadAt);
        if (wrong is not null)
        {
            _lane.Bury(by, lease, wrong);
            return false;
        }

        if (_lane.FindHandled(name) is not { } binding)
        {
            _lane.GiveBack(by, lease, name);
            return false;
        }

        int attempt = header.AttemptsBefore + lease.Attempt;
        if (header.Format != binding.Serializer.Format) wrong = $"payload: format {header.Format}, the handler of '{binding.Name}' reads {binding.Serializer.Format}";
        else if (attempt > binding.Retry.MaxAttempts) wrong = $"attempt {attempt} of at most {binding.Retry.MaxAttempts}: earlier workers died over it or gave it up";
        if (wrong is not null)
        {
            _lane.Bury(by, lease, wrong);
            return false;
        }

        by.NoteTaken();
        _task = null;
        _payload = lease.Payload[payloadAt..];
        _lease = lease;
        _leasedBy = by;
        _trace = header.Trace;
        Describe(binding, header.Id, attempt, by.Route.Route, header.EnqueuedMicroseconds);
        _context.Decoded = false;
        return true;
    }

    private void Describe(TaskBinding binding, TaskId id, int attempt, Route route, long enqueued)
    {
        if (!ReferenceEquals(_binding, binding))
        {
            _binding = binding;
            _context.Name = binding.Name;
            _context.MaxAttempts = binding.Retry.MaxAttempts;
        }

        _context.Id = id;
        _context.Attempt = attempt;
        _context.Route = route;
        _context.EnqueuedMicroseconds = enqueued;
    }

    /// <summary>Runs the task at hand.</summary>
    /// <returns><see langword="false"/> where it goes on by itself: the worker is scheduled again when it has ended.</returns>
    private bool RunOne()
    {
        ValueTask run;
        try
        {
            run = Start();
        }
        catch (Exception e)
        {
            return Fail(e);
        }

        if (run.IsCompletedSuccessfully)
        {
            run.GetAwaiter().GetResult(); // A pooled source is given back by this.
            Succeed();
            _lane.Owner.LeaveHandler();
            return true;
        }

        _phase = Phase.HandlerEnded;
        _running = run.ConfigureAwait(false).GetAwaiter();
        if (_running.IsCompleted) return EndHandler();
        _running.UnsafeOnCompleted(_onEnded);
        return false;
    }

    private ValueTask Start()
    {
        CancellationToken cancellation = _lane.Abort;
        if (_binding.Timeout is { } timeout) cancellation = StartTimeout(timeout);
        if (_lane.Telemetry.ObservesHandling) return _lane.Telemetry.ObserveAsync(_lane, _binding, _task, _payload, _context, _trace, cancellation);
        return _task is { } task
            ? _binding.RunAsync(task, _context, cancellation)
            : _binding.RunSerializedAsync(_payload, _context, cancellation);
    }

    private CancellationToken StartTimeout(TimeSpan timeout)
    {
        _timed = true;
        CancellationTokenSource source = _timeout ?? new CancellationTokenSource(Timeout.InfiniteTimeSpan, _lane.Clock.Provider);
        source.CancelAfter(timeout);
        Volatile.Write(ref _timeout, source);
        if (_lane.Abort.IsCancellationRequested) source.Cancel(); // A stop may have looked before it was there.
        return source.Token;
    }

    /// <summary>Ends the timeout, keeping its source for the next task.</summary>
    /// <returns>Whether it had fired.</returns>
    private bool EndTimeout()
    {
        if (!_timed) return false;
        _timed = false;
        CancellationTokenSource source = _timeout!;
        bool fired = source.IsCancellationRequested;
        if (source.TryReset()) return fired;
        Volatile.Write(ref _timeout, null);
        source.Dispose();
        return fired;
    }

    private void Succeed()
    {
        _completed++;
        EndTimeout();
        _task = null;
        if (_leasedBy is null) return;
        if (!_lease.Complete()) _lane.Log.LeaseEnded(_context.Name, _context.Id);
        _leasedBy = null;
    }

    private bool EndHandler()
    {
        try
        {
            _running.GetResult();
        }
        catch (Exception e)
        {
            return Fail(e);
        }

        Succeed();
        return true;
    }

    private bool Fail(Exception e)
    {
        _lane.Owner.LeaveHandler();
        _failed++;
        bool timedOut = EndTimeout();
        if (timedOut && e is OperationCanceledException && !_lane.Abort.IsCancellationRequested)
            e = new TimeoutException($"attempt {_context.Attempt} ran longer than {_binding.Timeout!.Value.TotalSeconds:0.###} s", e);

        WaitingTask task = new()
        {
            Binding = _binding,
            Id = _context.Id,
            Task = _task,
            AttemptsMade = _context.Attempt,
            EnqueuedMicroseconds = _context.EnqueuedMicroseconds,
            Trace = _trace,
            Lease = _leasedBy is null ? default : _lease,
            LeasedBy = _leasedBy,
        };
        _task = null;
        _leasedBy = null;

        _phase = Phase.FailureEnded;
#pragma warning disable CA2012 // Consumed once, by EndFailure: an await here would make the worker an async loop.
        _running = _lane.Failures.SettleAsync(task, e, _context.Decoded).ConfigureAwait(false).GetAwaiter();
#pragma warning restore CA2012
        if (!_running.IsCompleted)
        {
            _running.UnsafeOnCompleted(_onEnded);
            return false;
        }

        EndFailure();
        return true;
    }

    private void EndFailure()
    {
        try
        {
            _running.GetResult();
        }
        catch (Exception e)
        {
            _lane.Log.WorkerTrouble(_lane.Name, e);
        }
    }

    private enum Phase
    {
        Woken,
        HandlerEnded,
        FailureEnded,
        Yielded,
    }
}
