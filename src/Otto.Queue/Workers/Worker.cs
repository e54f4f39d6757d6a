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
    // A route over the network gets its answers by the same pool: each must not wait for all the workers' turns.
    private const int QuantumBesideNetworkMilliseconds = 1;

    private readonly Lane _lane;
    private readonly WorkerPool _roster;
    private readonly TaskContext _context;
    private readonly Action _onEnded;
    private readonly HandlerCancellation _run;

    private Phase _phase = Phase.Woken;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _running;
    private long _completed;
    private long _failed;

    // The task at hand.
    private TaskBinding _binding = null!;
    private object? _task;
    private ReadOnlyMemory<byte> _payload;
    private WorkLease _lease;
    private RouteConnection? _leasedBy;
    private ActivityContext _trace;
    private TaskTerms? _terms;

    internal Worker(Lane lane, WorkerPool roster, int index)
    {
        _lane = lane;
        _roster = roster;
        _context = new TaskContext(lane.Owner, lane) { Queue = lane.Name };
        _run = new HandlerCancellation(lane.Clock);
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

    /// <summary>Fires the token of a task that runs here.</summary>
    /// <param name="id">Which one; <see langword="null"/> for whatever runs.</param>
    /// <param name="reason">Why.</param>
    /// <returns>Whether it runs here.</returns>
    internal bool Fire(TaskId? id, CancellationCause reason) => _run.Fire(id, reason);

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
            if (left % LookEvery == 0 && Environment.TickCount64 - start > (_lane.UsesNetwork ? QuantumBesideNetworkMilliseconds : QuantumMilliseconds)) break;
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
            _terms = null;
        }
        else
        {
            _lease = baggage.Kept;
            _leasedBy = baggage.KeptBy;
            _trace = baggage.Trace;
            _terms = baggage.Terms;
        }

        Describe(task.Binding, new TaskId(_lane.Owner.Producer, task.Number), 1, Route.InProcess, task.EnqueuedMicroseconds);
        _context.Decoded = true;
    }

    internal void Load(DelayedTask task)
    {
        _task = task.Task;
        _leasedBy = null;
        _trace = task.Trace;
        _terms = task.Terms;
        Describe(task.Binding, task.Id, task.AttemptsMade + 1, Route.InProcess, task.EnqueuedMicroseconds);
        _context.Decoded = true;
    }

    /// <summary>Takes a message from another route, unless it is not one that can be run here; then it is dealt with.</summary>
    internal bool TryLoad(RouteConnection by, in WorkLease lease)
    {
        string? wrong = EnvelopeHeader.Read(lease.Payload.Span, out EnvelopeHeader header, out ReadOnlySpan<byte> name, out int payloadAt);
        if (wrong is not null)
        {
            _lane.Failures.BuryUnread(by, lease, wrong);
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
            _lane.Failures.BuryUnread(by, lease, wrong, binding, header);
            return false;
        }

        by.NoteTaken();
        _task = null;
        _payload = lease.Payload[payloadAt..];
        _lease = lease;
        _leasedBy = by;
        _trace = header.Trace;
        _terms = TaskTerms.Of(header);
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
        _context.SetResult(null); // What an earlier task left is nobody else's.
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
        CancellationToken cancellationToken = _run.Begin(_context.Id, _binding.Timeout);
        // A stop, or a cancel, may have looked before the run was there to be seen.
        if (_lane.Abort.IsCancellationRequested) _run.Fire(null, CancellationCause.Stopped);
        if (_lane.Cancels.Any && _lane.Cancels.TryTake(_context.Id))
        {
            _run.Fire(null, CancellationCause.Cancelled);
            throw new OperationCanceledException("cancelled before it was begun");
        }

        if (_lane.Telemetry.ObservesHandling) return _lane.Telemetry.ObserveAsync(_lane, _binding, _task, _payload, _context, _trace, cancellationToken);
        return _task is { } task
            ? _binding.RunAsync(task, _context, cancellationToken)
            : _binding.RunSerializedAsync(_payload, _context, cancellationToken);
    }

    private void Succeed()
    {
        _completed++;
        _run.End();
        object? task = _task;
        _task = null;
        if (_terms is not null && EndSpecial(task)) return;
        if (_leasedBy is null) return;
        if (!_lease.Complete()) _lane.Log.LeaseEnded(_context.Name, _context.Id);
        _leasedBy = null;
    }

    // A task that recurs is not over; one whose result is wanted tells it.
    private bool EndSpecial(object? task)
    {
        if (_terms!.WantsResult) _lane.Results.Done(_binding, _context.Id, _context.TakeResult(), _leasedBy);
        if (_terms.Every > TimeSpan.Zero) _lane.Failures.ComeAgain(Describe(task, attemptsMade: 0));
        else if (_terms.KeyIsHere) _lane.ReleaseKey(_terms.Key!, _context.Id);
        bool again = _terms.Every > TimeSpan.Zero;
        if (again) _leasedBy = null;
        return again;
    }

    private DelayedTask Describe(object? task, int attemptsMade) => new()
    {
        Binding = _binding,
        Id = _context.Id,
        Task = task,
        AttemptsMade = attemptsMade,
        EnqueuedMicroseconds = _context.EnqueuedMicroseconds,
        Trace = _trace,
        Terms = _terms,
        Lease = _leasedBy is null ? default : _lease,
        LeasedBy = _leasedBy,
    };

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
        CancellationCause end = _run.End();
        if (e is OperationCanceledException && end == CancellationCause.TimedOut)
            e = new TimeoutException($"attempt {_context.Attempt} ran longer than {_binding.Timeout!.Value.TotalSeconds:0.###} s", e);
        DelayedTask task = Describe(_task, _context.Attempt);
        _task = null;
        _leasedBy = null;

        _phase = Phase.FailureEnded;
#pragma warning disable CA2012 // Consumed once, by EndFailure: an await here would make the worker an async loop.
        _running = _lane.Failures.HandleAsync(task, e, end, _context.Decoded).ConfigureAwait(false).GetAwaiter();
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
