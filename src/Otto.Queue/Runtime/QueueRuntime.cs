using System.Globalization;
using System.Runtime.CompilerServices;
using Otto.Ipc;

namespace Otto.Queue;

// One queue as this process has it: makes its parts, starts and stops them. Nothing below knows it.

internal sealed class QueueRuntime : IAsyncDisposable
{
    private readonly QueueContext _context;
    private readonly QueueSettings _settings;
    private readonly SharedParts _shared;
    private readonly TaskRegistrations _tasks;
    private readonly LocalQueue _local;
    private readonly RouteConnections _routes;
    private readonly CancelRequestSet _cancelRequests = new();
    private readonly TaskEventPublisher _events;
    private readonly ProgressHub _progress;
    private readonly HandOff _handOff;
    private readonly TaskCompletion _completion;
    private readonly FailureHandler _failures;
    private readonly TaskSource _source;
    private readonly WorkerPool _workers;
    private readonly QueueDrain _drain;
    private readonly TaskEventReceiver _receiver;
    private readonly ResultCollector _collector;

    internal QueueRuntime(QueueContext context, TaskRegistrations tasks, QueueSettings settings, SharedParts shared)
    {
        (_context, _tasks, _settings, _shared) = (context, tasks, settings, shared);
        _workers = new WorkerPool(context, shared.Handlers, shared.Isolation);
        _local = new LocalQueue(settings.InProcess, context.Clock, tasks.HandlesAny, settings.Routes.Count > 0, _workers.Signal);
        _routes = new RouteConnections(context, settings.Routes, tasks.HandlesAny, _workers.Signal);
        _events = new TaskEventPublisher(context, _routes);
        _progress = new ProgressHub(_events, shared.Results);
        _collector = new ResultCollector(context, tasks.All, _routes, shared.Results, _progress);
        _handOff = new HandOff(context, _routes);
        _completion = new TaskCompletion(context, shared.Results, _collector, _routes, _events, _progress, _local, _cancelRequests);
        _failures = new FailureHandler(context, _completion, _local, _routes, _handOff, shared.Services);
        _source = new TaskSource(context, tasks, _local, _routes, _failures, shared.Isolation);
        _drain = new QueueDrain(context, new UnstartedTasks(context, _local, _handOff, _completion, _cancelRequests), _workers, _source);

        LocalCanceller localCanceller = new(context, _workers, _local, _cancelRequests, _completion);
        Canceller = new TaskCanceller(context, localCanceller, _routes, _events, _completion);
        Idle = new IdleCheck(context, _local, _routes, _workers, _source, _failures);
        _receiver = new TaskEventReceiver(context, _routes, shared.Results, _collector, _progress, localCanceller.OnRequested);
        LocalDispatcher localDispatcher = new(_local, _workers, _cancelRequests, settings.RoundTripEveryTask);
        RemoteDispatcher remoteDispatcher = new(context, _routes, _receiver, localDispatcher, settings.IgnorePins);
        Dispatcher = new TaskDispatcher(context, localDispatcher, remoteDispatcher, shared.Results, _collector, shared.Handlers);
        // With no other route there is nobody else to give a task to before the start, so the ring keeps it.
        if (tasks.HandlesAny && settings.InProcess.Enabled && settings.Routes.Count == 0) _local.Accept();
    }

    internal string Name => _context.Name;

    internal KeyValuePair<string, object?> NameTag => _context.NameTag;

    internal QueueState State => _context.Lifetime.State;

    /// <summary>Fires when a stop begins.</summary>
    internal CancellationToken Stopping => _context.Lifetime.Stopping;

    internal IReadOnlyList<TaskRegistration> Tasks => _tasks.All;

    internal bool HandlesAny => _tasks.HandlesAny;

    internal TaskRing Ring => _local.Ring;

    internal RouteConnection[] Routes => _routes.All;

    internal bool IsOpen => _routes.IsOpen;

    /// <summary>Whether a route keeps results, so that it can say whether there is one.</summary>
    internal bool KeepsResults => _routes.All.Any(static r => r.KeepsResults);

    internal TaskDispatcher Dispatcher { get; }

    internal TaskCanceller Canceller { get; }

    internal IdleCheck Idle { get; }

    /// <summary>How many tasks can run here at the same time; 0 before the start, and where nothing is
    /// handled.</summary>
    internal int Concurrency => _workers.Size;

    /// <summary>Tasks that wait in this process, back-offs included.</summary>
    internal int Waiting => _local.Ring.Count + _local.Delayed.Count;

    /// <summary>How many waiting tasks were moved on to a route with workers.</summary>
    internal long Moved => _routes.Moved;

    internal static QueueRuntime Find(IReadOnlyList<QueueRuntime> queues, string queue)
    {
        foreach (QueueRuntime runtime in queues)
            if (runtime.Name == queue) return runtime;
        throw new InvalidOperationException(
            $"there is no queue '{queue}'; there are: {string.Join(", ", queues.Select(static q => q.Name))}");
    }

    /// <summary>Whether other processes work on this queue.</summary>
    internal bool HasOtherWorkers => Array.Exists(Routes, static route => route.CountOthers() > 0);

    /// <summary>What each handler waits for, if every place has one that waits; else <see langword="null"/>.</summary>
    internal List<string[]>? WaitsOfAll() => _workers.WaitsOfAll();

    /// <summary>Gives tasks that wait here as objects to other routes, where other processes take them.</summary>
    internal async ValueTask GiveToOthersAsync()
    {
        while (State == QueueState.Running && _local.TryDequeue(out QueuedTask task))
        {
            DelayedTask waiting = task.Describe(_context.Ids);
            if (waiting.Held is { } held) held.Abandon(countAttempt: false);
            else if (waiting.Metadata is { KeyIsLocal: true }
                || !await _handOff.TryAsync(waiting, TimeSpan.Zero, Stopping).ConfigureAwait(false))
            {
                _local.Delayed.AddReady(waiting);
                return;
            }
        }
    }

    internal ValueTask OpenAsync(CancellationToken cancellationToken) => _routes.OpenAsync(cancellationToken);

    /// <summary>Opens the routes and makes the handlers: whatever can fail. Nothing runs yet.</summary>
    internal async ValueTask PrepareAsync(IServiceProvider? services, ITaskFilter[] filters, CancellationToken cancellationToken)
    {
        await OpenAsync(cancellationToken).ConfigureAwait(false);
        _tasks.Prepare(services, filters);
        // Before anything runs that could be cancelled.
        if (_tasks.HandlesAny) await _receiver.ListenAsync().ConfigureAwait(false);
    }

    /// <summary>Starts working.</summary>
    internal void Begin()
    {
        if (_tasks.HandlesAny)
        {
            _local.OnWorkersStarted();
            _shared.Isolation.Add(_workers);
            _workers.Start(_source, _tasks.Handled[0].Concurrency, CreateRun);
            _routes.StartConsuming(_workers, [.. _tasks.All.Where(static t => t.HandledHere).Select(static t => t.Name)]);
            _source.Start();
            if (_settings.InProcess.Enabled) _local.Accept();
        }

        _context.Lifetime.MoveTo(QueueState.Running);
        _workers.Signal();
        if (_tasks.HandlesAny)
            _context.Log.Started(Name, Concurrency, string.Join(", ", Tasks.Where(static t => t.HandledHere).Select(static t => t.Name)),
                string.Join(", ", Routes.Select(static r => r.Name).Prepend(RouteName.InProcess)));
    }

    private TaskRun CreateRun() => new(
        _context, new TaskContext(_shared.Queue, _progress.Report) { Queue = Name }, new HandlerCancellation(_context, _cancelRequests),
        _completion, _failures, _shared.Isolation);

    /// <summary>Where a task would go now and why, and how each route is.</summary>
    internal async ValueTask<RouteExplanation> ExplainAsync(TaskRegistration task, EnqueueOptions options,
        CancellationToken cancellationToken)
    {
        if (!IsOpen) await OpenAsync(cancellationToken).ConfigureAwait(false);
        (RouteName route, string reason) = Dispatcher.Explain(task, options);
        List<RouteStatus> statuses =
            [new(RouteName.InProcess, null, _local.Accepts ? Concurrency : 0,
                new WorkQueueCounts(Waiting, 0, 0, Ring.Capacity - Ring.Count, TimeSpan.Zero))];
        foreach (RouteConnection r in Routes)
        {
            WorkQueueCounts? counts = null;
            IReadOnlyList<UnhandledTasks> unhandled = [];
            string? error = r.Channel.Status;
            try
            {
                if (error is null) counts = await r.Channel.CountAsync(cancellationToken).ConfigureAwait(false);
                if (counts is { PassedOver: > 0 } && r.Selective is { } selective)
                    unhandled = await selective.GetUnhandledAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (IOException e)
            {
                error = e.Message;
            }

            statuses.Add(new RouteStatus(r.Name, error, r.Channel.OtherWorkers, counts)
                { Warnings = r.Channel.Warnings, Unhandled = unhandled });
        }

        return new RouteExplanation(Name, route, reason, statuses);
    }

    /// <summary>Watches progress from now on.</summary>
    /// <param name="id">Of which task; default for all.</param>
    /// <param name="cancellationToken">Ends the watching.</param>
    internal async ValueTask<IAsyncEnumerable<TaskProgress>> WatchProgressAsync(TaskId id, CancellationToken cancellationToken)
    {
        if (!IsOpen) await OpenAsync(cancellationToken).ConfigureAwait(false);
        await _receiver.ListenAsync().ConfigureAwait(false);
        return WatchAsync(id, cancellationToken);
    }

    // The watching ends with the result, whose event can be missed.
    private async IAsyncEnumerable<TaskProgress> WatchAsync(TaskId id, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using IDisposable? collecting = id == default ? null : _collector.Start(id, mayBeGone: false);
        await foreach (TaskProgress progress in _progress.WatchAsync(id, cancellationToken).ConfigureAwait(false)) yield return progress;
    }

    /// <summary>Asks the routes for a result until it has come or the answer is disposed.</summary>
    internal async ValueTask<IDisposable> StartCollectingAsync(TaskId id, bool mayBeGone, CancellationToken cancellationToken)
    {
        if (!IsOpen && !_context.Lifetime.IsStopping) await OpenAsync(cancellationToken).ConfigureAwait(false);
        await _receiver.ListenAsync().ConfigureAwait(false);
        return _collector.Start(id, mayBeGone);
    }

    internal QueueStatistics GetStatistics()
    {
        (long completed, long failed) = _workers.Count();
        return new QueueStatistics(
            Name, Waiting, Ring.Added, _routes.Sent, completed, failed, _failures.Retried, _failures.DeadLettered, _failures.Lost,
            _local.Overflowed, _local.Rejected, _completion.CancelledCount, _routes.Returned);
    }

    /// <summary>Stops: refuses new tasks, hands over what is not started, finishes what runs, and reports
    /// numbers.</summary>
    /// <param name="deadline">Fires when running handlers must give way.</param>
    internal async Task<DrainReport> StopAsync(CancellationToken deadline)
    {
        long start = _context.Clock.Timestamp, completedBefore = _workers.Count().Completed;
        TakeNothingNew();
        (int lost, int stillRunning) = await _drain.RunAsync(deadline).ConfigureAwait(false);
        DrainReport report =
            new(_workers.Count().Completed - completedBefore, _handOff.ByRoute, lost, stillRunning,
                _context.Clock.Provider.GetElapsedTime(start));
        await DisposeAsync().ConfigureAwait(false);
        string transferred = report.Transferred.Count == 0 ? "none"
            : string.Join(", ",
                report.Transferred.Select(static h => string.Create(CultureInfo.InvariantCulture, $"{h.Value} to {h.Key}")));
        _context.Log.Stopped(Name, report.Elapsed.TotalMilliseconds, report.Completed, transferred, lost, stillRunning);
        return report;
    }

    private void TakeNothingNew()
    {
        _context.Lifetime.MoveTo(QueueState.Draining);
        _local.StopAccepting();
        _source.Stop();
        _local.Ring.Seal();
        _routes.StopConsuming();
        _context.Lifetime.CancelStopping();
        _local.Space.ReleaseAll();
    }

    /// <summary>Closes everything; a route's participant lives on until its last lease has ended.</summary>
    public async ValueTask DisposeAsync()
    {
        _context.Lifetime.MoveTo(QueueState.Stopped);
        await _routes.StopMonitoringAsync().ConfigureAwait(false);
        await _events.FlushAsync().ConfigureAwait(false);
        _local.Delayed.Dispose();
        await _routes.DisposeAsync().ConfigureAwait(false);
    }
}
