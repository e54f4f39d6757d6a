using System.Collections.Concurrent;
using Otto.Ipc;

namespace Otto.Queue;

// One queue as this process sees it: the ring of objects, the routes beyond, the workers that take from both in turn.

internal sealed class Lane : ITaskConsumer, IAsyncDisposable
{
    private const int FewestForHysteresis = 4;

    private readonly CancellationTokenSource _abort = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly SemaphoreSlim _opening = new(1, 1);
    private readonly TaskQueueOptions _options;
    private readonly List<TaskBinding> _bindings = [];
    private readonly HashSet<string> _unhandledNames = [];
    private readonly int _localWeight;
    private readonly int _enoughRoomBelow;
    private readonly bool _spills;
    private TaskBinding[] _handled = [];
    private volatile RouteConnection[] _routes = [];
    private RouteMonitor? _watch;
    private volatile bool _open;
    private volatile bool _acceptsHere;
    private volatile bool _spillsFromHere;
    private volatile bool _takesHere;
    private volatile bool _takesWaiting;
    private volatile int _state;
    private long _spilled;
    private long _rejected;

    internal Lane(TaskQueue owner, string name, bool handlesAny, TaskQueueOptions options, QueueClock clock, QueueTelemetry telemetry, QueueLog log)
    {
        Owner = owner;
        Name = name;
        Clock = clock;
        Telemetry = telemetry;
        Log = log;
        _options = options;
        _localWeight = options.InProcess.Weight;
        _enoughRoomBelow = options.InProcess.Capacity - (options.InProcess.Capacity / 4);
        _spills = options.InProcess.FullMode == QueueFullMode.Overflow && options.Routes.Count > 0;
        // Where nothing is handled nothing is ever put in, so the ring need not be there.
        Ring = new TaskRing(handlesAny ? options.InProcess.Capacity : 1);
        Waiting = new DelayedTaskQueue(clock, options.InProcess.Capacity, () => Roster?.Signal());
        Failures = new FailureHandler(this);
        HandOff = new HandOff(this);
        Notices = new TaskEventBus(this);
        Results = new ResultReporter(this);
        Progress = new ProgressHub(this);
        Cancelling = new TaskCanceller(this);
        RoomHere = new SpaceAvailableSignal(options.InProcess.Capacity);
        SpilledReason = RouteReason.Spilled(options.InProcess.Capacity);
        NameTag = new("messaging.destination.name", name);
        Router = new TaskRouter(this, options.InProcess, options.RoundTripEveryTask, options.IgnoresPins);
    }

    internal TaskQueue Owner { get; }

    internal string Name { get; }

    internal QueueClock Clock { get; }

    internal QueueTelemetry Telemetry { get; }

    internal QueueLog Log { get; }

    internal TaskRouter Router { get; }

    internal TaskRing Ring { get; }

    internal DelayedTaskQueue Waiting { get; }

    internal FailureHandler Failures { get; }

    internal HandOff HandOff { get; }

    internal TaskEventBus Notices { get; }

    internal ResultReporter Results { get; }

    internal ProgressHub Progress { get; }

    internal CancelRequestSet Cancels { get; } = new();

    internal TaskCanceller Cancelling { get; }

    /// <summary>The keys of tasks that no route beyond knows of.</summary>
    internal ConcurrentDictionary<string, TaskId> KeysHere { get; } = new();

    internal SpaceAvailableSignal RoomHere { get; }

    internal WorkerPool? Roster { get; private set; }

    internal string SpilledReason { get; }

    /// <summary>Why a task may go into the ring.</summary>
    internal string ReasonHere { get; private set; } = RouteReason.OnlyRoute;

    internal KeyValuePair<string, object?> NameTag { get; }

    internal QueueState State => (QueueState)_state;

    internal RouteConnection[] Routes => _routes;

    internal bool IsOpen => _open;

    /// <summary>Whether a route here gets its answers over the network.</summary>
    internal bool UsesNetwork { get; private set; }

    /// <summary>Whether tasks for a handler here may be put into the ring.</summary>
    internal bool AcceptsHere => _acceptsHere;

    /// <summary>Whether tasks spill although there may be room: from when the ring was full until a quarter of it is free, so that tasks do not change their way with each place.</summary>
    internal bool SpillsFromHere
    {
        get
        {
            if (!_spillsFromHere) return false;
            if (Ring.Count > _enoughRoomBelow) return true;
            return _spillsFromHere = false;
        }
    }

    /// <summary>Fires when a stop begins.</summary>
    internal CancellationToken Stopping => _stopping.Token;

    /// <summary>Fires when a stop has run out of time; running handlers see it.</summary>
    internal CancellationToken Abort => _abort.Token;

    internal bool HandlesAny => _handled.Length > 0;

    internal IReadOnlyList<TaskBinding> Bindings => _bindings;

    public int AvailableWorkers => Roster?.FreePlaces ?? 0;

    public void OnLeaseLost(TaskId id)
    {
        Log.LeaseLost(Name, id);
        Telemetry.LeaseLost(this);
        FireRunning(id, CancellationCause.LeaseLost);
    }

    /// <summary>Fires the token of a task that runs here.</summary>
    internal bool FireRunning(TaskId id, CancellationCause reason)
    {
        if (Roster is not { } roster) return false;
        foreach (Worker worker in roster.Workers)
            if (worker.Fire(id, reason)) return true;
        return false;
    }

    internal void ReleaseKey(string key, TaskId id) => KeysHere.TryRemove(KeyValuePair.Create(key, id));

    /// <summary>How many waiting tasks were moved on to a route with workers.</summary>
    internal long MovedOn => _watch?.Moved ?? 0;

    internal long Spilled => Volatile.Read(ref _spilled);

    internal long Rejected => Volatile.Read(ref _rejected);

    /// <summary>Whether a worker that looked now would find something.</summary>
    internal bool HasWork
    {
        get
        {
            if (_takesHere && Ring.HasReady) return true;
            if (_takesWaiting && Waiting.HasReady) return true;
            foreach (RouteConnection route in _routes)
                if (route.MayHaveWork) return true;
            return false;
        }
    }

    internal void Add(TaskBinding binding)
    {
        _bindings.Add(binding);
        if (!binding.HandledHere) return;
        _handled = [.. _handled, binding];
        // With no other route there is nobody else to give a task to before the start, so the ring keeps it.
        _acceptsHere = _options.InProcess.Enabled && _options.Routes.Count == 0;
    }

    internal TaskBinding? FindHandled(ReadOnlySpan<byte> name)
    {
        foreach (TaskBinding binding in _handled)
            if (name.SequenceEqual(binding.NameUtf8)) return binding;
        return null;
    }

    internal async ValueTask OpenAsync(CancellationToken cancellationToken)
    {
        await _opening.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (_open) return;
            List<RouteConnection> routes = [];
            try
            {
                foreach (ITaskRoute route in _options.Routes)
                    routes.Add(new RouteConnection(route, await route.OpenAsync(Name, cancellationToken).ConfigureAwait(false), this));
            }
            catch
            {
                foreach (RouteConnection route in routes) await route.DisposeAsync().ConfigureAwait(false);
                throw;
            }

            _routes = [.. routes];
            UsesNetwork = routes.Exists(static r => r.Channel.UsesNetwork);
            _open = true;
            // A segment alone is never lost, and has nowhere to move to.
            if (routes.Exists(static r => r.Route.Route != Route.SharedMemory)) (_watch = new RouteMonitor(this)).Start();
        }
        finally
        {
            _opening.Release();
        }
    }

    internal async ValueTask StartAsync(IServiceProvider? services, CancellationToken cancellationToken)
    {
        await OpenAsync(cancellationToken).ConfigureAwait(false);
        foreach (TaskBinding binding in _bindings) binding.Prepare(services);
        if (HandlesAny)
        {
            await Notices.ListenAsync().ConfigureAwait(false); // Before anything runs that could be cancelled.
            ReasonHere = RouteReason.WorkerHere;
            Roster = new WorkerPool(this, _handled[0].Concurrency);
            foreach (RouteConnection route in _routes) route.StartTaking();
            _takesHere = _takesWaiting = true;
            _acceptsHere = _options.InProcess.Enabled;
        }

        _state = (int)QueueState.Running;
        Roster?.Signal();
    }

    /// <summary>Puts a task's object into the ring and wakes a worker.</summary>
    internal bool TryHandOver(in QueuedTask task)
    {
        if (!Ring.TryEnqueue(task))
        {
            if (_spills && Ring.Capacity >= FewestForHysteresis) _spillsFromHere = true;
            return false;
        }

        Roster?.Signal();
        return true;
    }

    /// <summary>Finds the next task for a worker: retries first, then each source in turn by weight.</summary>
    /// <param name="worker">Who gets it.</param>
    /// <param name="look">Whether to look on every route, told or not.</param>
    internal bool TryTake(Worker worker, bool look)
    {
        if (_takesWaiting && Waiting.TryTake(out DelayedTask? waiting))
        {
            worker.Load(waiting!);
            return true;
        }

        RouteConnection[] routes = _routes;
        for (int sources = routes.Length + 1; sources >= 0; sources--)
        {
            if (worker.Turn == 0)
            {
                if (worker.Credit > 0 && _takesHere && Ring.TryDequeue(out QueuedTask task))
                {
                    worker.Credit--;
                    if (RoomHere.HasWaiters) RoomHere.OnDequeued(Ring.Count);
                    worker.Load(task);
                    return true;
                }
            }
            else
            {
                RouteConnection route = routes[worker.Turn - 1];
                while (worker.Credit > 0 && route.TryLease(look, out WorkLease lease))
                {
                    worker.Credit--;
                    if (worker.TryLoad(route, lease)) return true;
                }
            }

            worker.Turn = worker.Turn >= routes.Length ? 0 : worker.Turn + 1;
            worker.Credit = worker.Turn == 0 ? _localWeight : routes[worker.Turn - 1].Route.Weight;
        }

        return false;
    }

    internal QueueStatistics GetStatistics()
    {
        long completed = 0, failed = 0;
        if (Roster is { } roster)
        {
            foreach (Worker worker in roster.Workers)
            {
                completed += worker.Completed;
                failed += worker.Failed;
            }
        }

        return new QueueStatistics(
            Name, Ring.Count + Waiting.Count, Ring.Added, _routes.Sum(static r => r.Sent), completed, failed, Failures.Retried, Failures.Buried, Failures.Lost,
            Spilled, Rejected, Failures.Cancelled, _routes.Sum(static r => r.GivenBack));
    }

    internal void NoteSpilled() => Interlocked.Increment(ref _spilled);

    internal void NoteRejected() => Interlocked.Increment(ref _rejected);

    /// <summary>Gives back a message for which no handler is here, and says so once a name.</summary>
    internal void GiveBack(RouteConnection by, in WorkLease lease, ReadOnlySpan<byte> name)
    {
        string text = System.Text.Encoding.UTF8.GetString(name); // Before the lease ends: the bytes are the segment's.
        by.GiveBack(lease);
        Telemetry.GivenBack(this);
        lock (_unhandledNames)
        {
            // Bounded: the names come from other processes.
            if (_unhandledNames.Count >= 100 || !_unhandledNames.Add(text)) return;
        }

        Log.NoHandler(Name, text, by.Route.Route);
    }

    /// <summary>Begins a stop: nothing new is taken in or up.</summary>
    internal void BeginDrain()
    {
        _state = (int)QueueState.Draining;
        _acceptsHere = false;
        _takesHere = false;
        _takesWaiting = false;
        Ring.Seal();
        foreach (RouteConnection route in _routes) route.StopTaking();
        _stopping.Cancel();
        RoomHere.ReleaseAll();
    }

    /// <summary>Lets workers run what no route could take.</summary>
    internal void RunLeftover()
    {
        _takesWaiting = true;
        Roster?.Signal();
    }

    internal void AbortRunning()
    {
        _takesWaiting = false;
        _abort.Cancel();
        if (Roster is null) return;
        foreach (Worker worker in Roster.Workers) worker.Fire(null, CancellationCause.Stopped);
    }

    /// <summary>Lets go of everything; a route's participant lives on until its last lease has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        _state = (int)QueueState.Stopped;
        if (_watch is { } watch) await watch.DisposeAsync().ConfigureAwait(false);
        await Notices.FlushAsync().ConfigureAwait(false);
        Waiting.Dispose();
        foreach (RouteConnection route in _routes) await route.DisposeAsync().ConfigureAwait(false);
        _opening.Dispose();
        // Not _abort and _stopping: handlers that would not end still hold their tokens, and without a timer there is nothing to free.
    }
}
