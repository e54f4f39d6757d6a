using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace Otto.Queue;

// One place in which one task at a time runs: a queue has Concurrency many of them.
// A work item of the thread pool that is used again for ever, instead of an async loop: between tasks that end at once it only loops, and
// it allocates nothing.

internal sealed class Worker : IThreadPoolWorkItem
{
    // After so many tasks, or so long, in a row the thread goes back to the pool, so that other work of the program has its turn.
    private const int Quantum = 2048;
    private const int LookEvery = 16;
    private const int QuantumMilliseconds = 20;
    // A route over the network gets its answers by the same pool: each must not wait for all the workers' turns.
    private const int QuantumBesideNetworkMilliseconds = 1;

    private readonly WorkerPool _pool;
    private readonly TaskSource _source;
    private readonly HandlerPlace _place;
    private readonly Action _onEnded;

    private Phase _phase = Phase.Woken;
    private SourceTurn _turn;
    private ConfiguredValueTaskAwaitable.ConfiguredValueTaskAwaiter _running;

    internal Worker(WorkerPool pool, TaskSource source, HandlerScope handlers, TaskRun run, int index)
    {
        _pool = pool;
        _source = source;
        _place = new HandlerPlace(handlers);
        Run = run;
        _onEnded = () => Schedule(preferLocal: true);
        Index = index;
    }

    internal TaskRun Run { get; }

    internal int Index { get; }

    internal HandlerPlace Place => _place;

    internal int NextIdle;

    // A handler's end continues on the pool, never on the thread that ended it: that may be a producer's.
    internal void Schedule(bool preferLocal = false) => ThreadPool.UnsafeQueueUserWorkItem(this, preferLocal);

    void IThreadPoolWorkItem.Execute()
    {
        _place.Enter();
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
            if (left % LookEvery == 0
                && Environment.TickCount64 - start > (_source.UsesNetwork ? QuantumBesideNetworkMilliseconds : QuantumMilliseconds)) break;
            if (!TryTake(poll: false))
            {
                searching = searching || _pool.TryBeginSearch();
                if (!searching || !Search())
                {
                    if (searching) _pool.EndSearchEmpty();
                    _phase = Phase.Woken;
                    _pool.Park(this);
                    return;
                }
            }

            if (searching)
            {
                searching = false;
                _pool.EndSearchFound();
            }

            if (!RunOne()) return;
        }

        if (searching) _pool.EndSearchEmpty();
        _phase = Phase.Yielded;
        Schedule();
    }

    // Sleeping and being woken costs far more than a task does, so the last worker awake looks round for a moment first.
    private bool Search()
    {
        if (Environment.ProcessorCount == 1) return TryTake(poll: false);
        long until = Stopwatch.GetTimestamp() + _pool.SearchTicks;
        bool found;
        do
        {
            Thread.SpinWait(8);
            found = TryTake(poll: true);
        }
        while (!found && Stopwatch.GetTimestamp() < until);
        _pool.NoteSearch(found);
        return found || TryTake(poll: false);
    }

    private bool TryTake(bool poll) => _source.TryTake(Run, ref _turn, poll);

    /// <summary>Runs the loaded task.</summary>
    /// <returns><see langword="false"/> if the task continues by itself: the worker is scheduled again when the task
    /// has ended.</returns>
    private bool RunOne()
    {
        ValueTask run;
        try
        {
            run = Run.Start();
        }
        catch (Exception e)
        {
            return Fail(e);
        }

        if (run.IsCompletedSuccessfully)
        {
            run.GetAwaiter().GetResult(); // A pooled source is given back by this.
            Succeed();
            _place.Restore();
            return true;
        }

        _phase = Phase.HandlerEnded;
        _running = run.ConfigureAwait(false).GetAwaiter();
        if (_running.IsCompleted) return EndHandler();
        _running.UnsafeOnCompleted(_onEnded);
        return false;
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

    // What it throws must not end the process: no task is worth that.
    private void Succeed()
    {
        try
        {
            Run.Succeed();
        }
        catch (Exception e)
        {
            _pool.LogUnexpected(e);
        }
    }

    private bool Fail(Exception e)
    {
        _place.Restore();
        _phase = Phase.FailureEnded;
#pragma warning disable CA2012 // Consumed once, by EndFailure: an await here would make the worker an async loop.
        _running = Run.FailAsync(e).ConfigureAwait(false).GetAwaiter();
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
            _pool.LogUnexpected(e);
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
