namespace Otto.Queue;

// A task whose worker died over it may be what killed it, or only have run beside what did. It runs again with nothing else beside it in
// this process, so that a further death proves which it was: docs/decisions/0114.
// The usual task pays one read of IsWanted.

// Not disposed: nothing asks for the semaphore's wait handle, and without one it holds nothing.
#pragma warning disable CA1001
internal sealed class IsolationGate
#pragma warning restore CA1001
{
    // What runs without harm for so long beside nothing new is not taken for the cause of a crash that comes then.
    private static readonly TimeSpan Settled = TimeSpan.FromMilliseconds(500);

    // So long nothing else begins; a task that takes longer does not hold up its process.
    private static readonly TimeSpan Longest = TimeSpan.FromSeconds(30);

    private readonly SemaphoreSlim _turn = new(1, 1);
    private readonly List<WorkerPool> _pools = [];
    private int _wanted;
    private int _suspects;
    private long _wantedAt;
    private long _settledStarts = -1;

    /// <summary>Whether several tasks can run at the same time in this process.</summary>
    internal bool RunsSeveral { get; set; } = true;

    /// <summary>Whether no other task may begin now.</summary>
    internal bool IsWanted => Volatile.Read(ref _wanted) != 0;

    /// <summary>Adds the workers of a queue.</summary>
    internal void Add(WorkerPool workers)
    {
        lock (_pools) _pools.Add(workers);
    }

    /// <summary>Waits until nothing else runs here. Until the result is disposed nothing else begins.</summary>
    /// <param name="abort">Gives up.</param>
    internal async ValueTask<Turn> EnterAsync(CancellationToken abort)
    {
        Interlocked.Increment(ref _suspects);
        if (Interlocked.Increment(ref _wanted) == 1) Volatile.Write(ref _wantedAt, Environment.TickCount64);
        bool entered = false;
        try
        {
            await _turn.WaitAsync(abort).ConfigureAwait(false);
            entered = true;
            TimeSpan pause = TimeSpan.FromMilliseconds(1);
            // What ran beside the last one that was alone has settled already, if nothing began since.
            while (OthersRun && Starts != Volatile.Read(ref _settledStarts)
                && Environment.TickCount64 - Volatile.Read(ref _wantedAt) < (long)Settled.TotalMilliseconds)
            {
                await Task.Delay(pause, abort).ConfigureAwait(false);
                if (pause < TimeSpan.FromMilliseconds(16)) pause *= 2;
            }

            Volatile.Write(ref _settledStarts, Starts);
            return new Turn(this);
        }
        catch
        {
            if (entered) _turn.Release();
            Interlocked.Decrement(ref _suspects);
            Unwant();
            throw;
        }
    }

    // Workers that look for a task find none while the gate is wanted, and rest.
    private bool OthersRun
    {
        get
        {
            lock (_pools)
            {
                int awake = 0;
                foreach (WorkerPool pool in _pools) awake += pool.Awake;
                return awake > Volatile.Read(ref _suspects);
            }
        }
    }

    private long Starts
    {
        get
        {
            lock (_pools) return _pools.Sum(static pool => pool.Starts);
        }
    }

    private void Unwant()
    {
        if (Interlocked.Decrement(ref _wanted) != 0) return;
        lock (_pools)
            foreach (WorkerPool pool in _pools) pool.Signal();
    }

    /// <summary>The time in which one task runs alone.</summary>
    internal sealed class Turn : IDisposable
    {
        private readonly IsolationGate _gate;
        private readonly Timer _timer;
        private int _ended;

        internal Turn(IsolationGate gate)
        {
            _gate = gate;
            _timer = new Timer(static turn => ((Turn)turn!).End(), this, Longest, Timeout.InfiniteTimeSpan);
        }

        public void Dispose()
        {
            _timer.Dispose();
            Interlocked.Decrement(ref _gate._suspects);
            End();
        }

        private void End()
        {
            if (Interlocked.Exchange(ref _ended, 1) != 0) return;
            _gate._turn.Release();
            _gate.Unwant();
        }
    }
}
