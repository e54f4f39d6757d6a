using System.Collections.Frozen;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Otto.Queue;

// The queue itself, with or without a host: it ties types and names to queues, and starts and stops them together.

/// <summary>Tasks from here to the workers: this process, this machine, then further.</summary>
/// <remarks>
/// Safe for use by any number of threads. Tasks can be enqueued before <see cref="StartAsync"/>, and in a program that
/// never starts it and only produces.
/// A queue starts and stops once.
/// </remarks>
public sealed class TaskQueue : ITaskQueue, IAsyncDisposable, IDisposable
{
    private static readonly TimeSpan LongestDrainPause = TimeSpan.FromMilliseconds(16);

    private readonly TaskQueueOptions _options;
    private readonly TimeSpan _drainTimeout;
    private readonly Func<IServiceProvider?, ITaskFilter>[] _filters;
    private readonly FrozenDictionary<Type, Entry[]> _byType;
    private readonly FrozenDictionary<string, Entry> _byName;
    private readonly QueueRuntime[] _queues;
    private readonly QueueTelemetry _telemetry;
    private readonly PendingResults _results;
    private readonly HandlerScope _handlers = new();
    private readonly HandlerWaits _waits;
    private Task<DrainReport>? _stopping;
    private readonly Lock _lifecycle = new();
    private readonly ServicesStatus _services = new();
    private bool _started;

    /// <summary>Makes a queue. Nothing is opened before <see cref="StartAsync"/> or the first task.</summary>
    /// <param name="options">What it does; checked here, and not to be changed afterwards.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or two contradict each other; the message
    /// carries the numbers.</exception>
    public TaskQueue(TaskQueueOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.MakeReadOnly();
        _options = options;
        _drainTimeout = options.DrainTimeout;
        _filters = [.. options.Filters];
        QueueClock clock = new(options.TimeProvider);
        QueueLog log = new((ILogger?)options.LoggerFactory?.CreateLogger(QueueTelemetry.SourceName) ?? NullLogger.Instance);
        if (SharedMemoryRoute.IsMissing(options.SharedMemory)) log.SharedMemoryMissing();
        _telemetry = new QueueTelemetry(ObserveDepth, ObserveWorkers);
        _results = new PendingResults(clock);
        SharedParts shared = new(this, _results, _handlers, new IsolationGate(), _services);
        TaskIdSource ids = new();
        QueueSettings settings = new(options.InProcess, options.Routes, options.RoundTripEveryTask, options.IgnorePinnedRoutes);

        List<TaskRegistration> registrations = [.. options.Declarations.Select(d => d.Register(options.SerializerOf(d)))];
        _queues = [.. registrations.GroupBy(static r => r.QueueName).Select(tasks => new QueueRuntime(
            new QueueContext(tasks.Key, new QueueLifetime(), ids, clock, _telemetry, log), new TaskRegistrations([.. tasks]), settings,
            shared))];
        shared.Isolation.RunsSeveral = registrations.Where(static r => r.HandledHere).GroupBy(static r => r.QueueName).Sum(
            static tasks => tasks.First().Concurrency) > 1;
        _waits = new HandlerWaits(_queues);
        _byName = registrations.ToFrozenDictionary(static r => r.Name, r => new Entry(r, QueueRuntime.Find(_queues, r.QueueName)));
        _byType = options.Declarations.GroupBy(static d => d.TaskType).ToFrozenDictionary(static g => g.Key,
            g => g.Select(d => _byName[d.Name]).ToArray());
        DeadLetters = new QueueDeadLetters(_queues);
    }

    /// <summary>Creates a queue.</summary>
    /// <param name="configure">Adds tasks and routes, and sets options.</param>
    /// <returns>The queue. Nothing is opened before <see cref="StartAsync"/> or the first task.</returns>
    /// <inheritdoc cref="TaskQueue(TaskQueueOptions)" path="/exception"/>
    public static TaskQueue Create(Action<TaskQueueOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        TaskQueueOptions options = new();
        configure(options);
        return new TaskQueue(options);
    }

    /// <inheritdoc/>
    public TaskDeadLetters DeadLetters { get; }

    internal IReadOnlyList<QueueRuntime> Queues => _queues;

    internal PendingResults Results => _results;

    /// <inheritdoc/>
    public ValueTask<TaskReceipt> EnqueueAsync<TTask>(TTask task, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(task);
        if (!_byType.TryGetValue(typeof(TTask), out Entry[]? entries) || entries.Length != 1) throw UnknownType(typeof(TTask), entries);
        Entry entry = entries[0];
        return entry.Queue.Dispatcher.EnqueueAsync((TaskRegistration<TTask>)entry.Task, task, options, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<TaskReceipt> EnqueueNamedAsync<TTask>(string name, TTask task, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(task);
        Entry entry = FindTask(name);
        if (entry.Task is not TaskRegistration<TTask> registration)
            throw new ArgumentException(
                $"task '{name}' is declared with the type {entry.Task.TaskType}, but was enqueued as {typeof(TTask)}", nameof(task));
        return entry.Queue.Dispatcher.EnqueueAsync(registration, task, options, cancellationToken);
    }

    /// <inheritdoc/>
    public Task<TResult> InvokeAsync<TResult>(object task, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(task);
        Entry[]? entries = null;
        // Declared with its own type, or with one that it derives from.
        for (Type? type = task.GetType(); entries is null && type is not null; type = type.BaseType) _byType.TryGetValue(type, out entries);
        if (entries is not [Entry entry]) throw UnknownType(task.GetType(), entries);
        return InvokeAsync<TResult>(entry, task, options, cancellationToken);
    }

    private async Task<TResult> InvokeAsync<TResult>(Entry entry, object task, EnqueueOptions? options, CancellationToken cancellationToken)
    {
        options = options is null ? EnqueueOptions.Tracked : options with { TrackResult = true };
        TaskReceipt receipt =
            await entry.Task.EnqueueAsync(entry.Queue.Dispatcher, task, options, cancellationToken).ConfigureAwait(false);
        try
        {
            return await WaitAsync<TResult>(receipt, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            // No other caller has the receipt, so a wait that was cancelled leaves nothing behind.
            if (receipt.Outcome != EnqueueOutcome.Duplicate) _results.Forget(receipt.Id);
        }
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<TaskReceipt>> EnqueueManyAsync<TTask>(IEnumerable<TTask> tasks, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(tasks);
        List<EnqueueResult> results = [];
        // Else the first would all wait for the routes to open, and go on in any order.
        if (_byType.TryGetValue(typeof(TTask), out Entry[]? entries)
            && entries is [{ Queue: { IsOpen: false, State: QueueState.Created } queue }])
            await queue.OpenAsync(cancellationToken).ConfigureAwait(false);
        List<Exception> errors = [];
        Exception? ended = null;
        using IEnumerator<TTask> sequence = tasks.GetEnumerator();
        // So many at once share a round trip on a route that has round trips; the calls are made in order.
        for (bool more = true; more && ended is null;)
        {
            List<Task<TaskReceipt>> enqueuing = [];
            try
            {
                while (enqueuing.Count < 128 && (more = sequence.MoveNext()))
                    enqueuing.Add(EnqueueOneAsync(sequence.Current, options, cancellationToken));
            }
            catch (Exception e)
            {
                ended = e; // The sequence itself threw: what was enqueued before is not forgotten.
            }

            foreach (Task<TaskReceipt> one in enqueuing)
            {
                try
                {
                    results.Add(new EnqueueResult(await one.ConfigureAwait(false), null));
                }
                catch (Exception e)
                {
                    results.Add(new EnqueueResult(default, e));
                    errors.Add(e);
                }
            }
        }

        if (ended is not null) errors.Add(ended);
        if (errors.Count == 0) return [.. results.Select(static r => r.Receipt)];
        if (cancellationToken.IsCancellationRequested && results.TrueForAll(static r => r.Error is OperationCanceledException))
            throw new OperationCanceledException(cancellationToken);
        throw new EnqueueManyException(results, errors);
    }

    // Each task has an answer of its own, also one that is refused before it is awaited.
    private async Task<TaskReceipt> EnqueueOneAsync<TTask>(TTask task, EnqueueOptions? options, CancellationToken cancellationToken)
        where TTask : notnull
        => await EnqueueAsync(task, options, cancellationToken).ConfigureAwait(false);

    /// <inheritdoc/>
    public ValueTask<CancelOutcome> CancelAsync(TaskReceipt receipt, CancellationToken cancellationToken = default) =>
        CancelAsync(receipt.Queue, receipt.Id, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CancelOutcome> CancelAsync(string queue, TaskId id, CancellationToken cancellationToken = default) =>
        QueueRuntime.Find(_queues, queue).Canceller.CancelAsync(id, cancellationToken);

    /// <inheritdoc/>
    public async Task<TResult> WaitAsync<TResult>(TaskReceipt receipt, CancellationToken cancellationToken = default)
    {
        if (receipt.Outcome == EnqueueOutcome.Duplicate)
            throw new InvalidOperationException($"task {receipt.Id} was enqueued by another producer, which receives its result");
        QueueRuntime queue = QueueRuntime.Find(_queues, receipt.Queue);
        bool mayBeElsewhere = receipt.Route != RouteName.InProcess && queue.KeepsResults;
        return await WaitAsync<TResult>(queue, receipt.Id, mayBeElsewhere, cancellationToken).ConfigureAwait(false);
    }

    /// <inheritdoc/>
    public Task<TResult> WaitAsync<TResult>(string queue, TaskId id, CancellationToken cancellationToken = default) =>
        WaitAsync<TResult>(QueueRuntime.Find(_queues, queue), id, mayBeElsewhere: true, cancellationToken);

    private async Task<TResult> WaitAsync<TResult>(QueueRuntime queue, TaskId id, bool mayBeElsewhere, CancellationToken cancellationToken)
    {
        // Ends the wait where it cannot begin, or is refused in a handler.
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task<TResult> waiting = _results.WaitAsync<TResult>(id, mayBeElsewhere ? queue.Tasks : null, stop.Token);
        IDisposable? collecting = null;
        try
        {
            collecting = await queue.StartCollectingAsync(id, mayBeElsewhere, cancellationToken).ConfigureAwait(false);
            if (_handlers.Place is not { } place) return await waiting.ConfigureAwait(false);
            TaskReceipt receipt = new(id, RouteName.InProcess, "") { Queue = queue.Name };
            return await _waits.GuardAsync(place, receipt, waiting).ConfigureAwait(false);
        }
        catch (OperationCanceledException e) when (e.CancellationToken == stop.Token)
        {
            throw new OperationCanceledException(e.Message, e, cancellationToken);
        }
        finally
        {
            collecting?.Dispose();
            await stop.CancelAsync().ConfigureAwait(false);
            if (!waiting.IsCompletedSuccessfully) await ((Task)waiting).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <inheritdoc/>
    public Task WaitAsync(TaskReceipt receipt, CancellationToken cancellationToken = default) =>
        WaitAsync<object?>(receipt, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<TaskProgress> ProgressAsync(TaskReceipt receipt,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        IAsyncEnumerable<TaskProgress> reports =
            await QueueRuntime.Find(_queues, receipt.Queue).WatchProgressAsync(receipt.Id, cancellationToken).ConfigureAwait(false);
        await foreach (TaskProgress progress in reports.ConfigureAwait(false)) yield return progress;
    }

    /// <summary>Watches how far the tasks of a queue say they are, from any producer and on any worker.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="cancellationToken">Ends the watching.</param>
    /// <returns>What their handlers report, at most ten times per second for each that runs in another process; the
    /// oldest reports are passed over where you are slow.</returns>
    /// <exception cref="InvalidOperationException">There is no such queue here; the message lists those there
    /// are.</exception>
    public async IAsyncEnumerable<TaskProgress> ProgressAsync(string queue,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        IAsyncEnumerable<TaskProgress> reports =
            await QueueRuntime.Find(_queues, queue).WatchProgressAsync(default, cancellationToken).ConfigureAwait(false);
        await foreach (TaskProgress progress in reports.ConfigureAwait(false)) yield return progress;
    }

    /// <summary>Explains which route a task would take now and why, and describes each route as seen from this process.
    /// Sends nothing.</summary>
    /// <param name="task">The task's name.</param>
    /// <param name="options">What would be asked for it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The way, the reason, and the routes.</returns>
    /// <exception cref="InvalidOperationException">No task of that name is declared, or no configured route could take
    /// such a task. The message describes what is missing.</exception>
    public ValueTask<RouteExplanation> ExplainRouteAsync(string task, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default)
    {
        Entry entry = FindTask(task);
        (options ??= EnqueueOptions.Default).Check();
        return entry.Queue.ExplainAsync(entry.Task, options, cancellationToken);
    }

    /// <summary>Opens the routes, announces this process as a worker for what it handles, and starts working.</summary>
    /// <param name="cancellationToken">Gives up starting.</param>
    /// <returns>Ends when every queue runs.</returns>
    /// <exception cref="InvalidOperationException">It was started or stopped before.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        await PrepareAsync(cancellationToken).ConfigureAwait(false);
        BeginWork();
    }

    /// <summary>Does all of a start that can fail. Nothing runs before <see cref="BeginWork"/>.</summary>
    internal async Task PrepareAsync(CancellationToken cancellationToken)
    {
        lock (_lifecycle)
        {
            if (_started || _stopping is not null)
                throw new InvalidOperationException("this queue was already started or stopped; a queue can be started only once");
            _started = true;
        }

        _services.Use(_options.Services);
        ITaskFilter[] filters = _queues.Any(static q => q.HandlesAny) ? [.. _filters.Select(create => create(_options.Services))]
            : [];
        foreach (QueueRuntime queue in _queues)
            await queue.PrepareAsync(_options.Services, filters, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Starts the workers, unless a stop was quicker.</summary>
    internal void BeginWork()
    {
        lock (_lifecycle)
        {
            if (_stopping is not null) return;
            foreach (QueueRuntime queue in _queues) queue.Begin();
        }
    }

    /// <summary>Waits until there is nothing left to do in this process, and nothing on the routes of its
    /// queues.</summary>
    /// <remarks>
    /// <para>Completes when, in each queue of this object, no task waits in this process, no handler runs here, no task
    /// that failed here waits for its next attempt, and on no other route a task is ready or leased. So every task that
    /// was enqueued here before the call, and that this process works on, has ended, and so have the tasks that those
    /// enqueued.</para>
    /// <para>A task on a route is waited for whichever process enqueued it or works on it: while others keep a shared
    /// queue busy, this does not complete. What is only known to another process is not: a task that its handler
    /// enqueued for itself in process, or one that failed there and waits for its next attempt. To wait for a task that
    /// another process works on, use <see cref="WaitAsync(TaskReceipt, CancellationToken)"/>.</para>
    /// <para>Not waited for: a task that may not begin yet because of its <see cref="EnqueueOptions.Delay"/>,
    /// <see cref="EnqueueOptions.NotBefore"/> or <see cref="EnqueueOptions.RepeatInterval"/>, and a task that was given
    /// up. A task without a handler in any process never ends: pass a token. Tasks can be enqueued at any time, before
    /// and after: the queue does not stop. Not to be called in a handler, which would wait for itself.</para>
    /// </remarks>
    /// <param name="cancellationToken">Stops the waiting; the tasks continue.</param>
    /// <returns>A task that completes when all is done.</returns>
    /// <exception cref="InvalidOperationException">The queue has handlers and was not started, or a handler of this
    /// queue calls this, which would wait for itself.</exception>
    /// <exception cref="QueueStoppedException">The queue is stopping or has stopped.</exception>
    public async Task DrainAsync(CancellationToken cancellationToken = default)
    {
        if (_queues.Any(static queue => queue is { HandlesAny: true, State: QueueState.Created }))
            throw new InvalidOperationException("the queue was not started, so nothing that waits here would end; call StartAsync first");
        if (_handlers.IsInside) throw new InvalidOperationException("DrainAsync was called in a handler, which would wait for itself");
        // A task of one queue may enqueue into another, so all of them must be idle at the same time.
        TimeSpan pause = TimeSpan.FromMilliseconds(1);
        while (true)
        {
            // A second look, since the routes are counted one after the other, and a task may move from one to another meanwhile.
            bool idle = await AreIdleAsync(cancellationToken).ConfigureAwait(false)
                && await AreIdleAsync(cancellationToken).ConfigureAwait(false);
            // After the look: during a stop a task may be between two places.
            if (Array.Find(_queues, static queue => queue.State >= QueueState.Draining) is { } stopped)
                throw new QueueStoppedException($"queue '{stopped.Name}' is stopping, which hands its tasks over instead of ending them");
            if (idle) return;
            await Task.Delay(pause, cancellationToken).ConfigureAwait(false);
            if (pause < LongestDrainPause) pause *= 2;
        }
    }

    // Nothing ran here while the routes were counted, since nothing runs before or after, or has ended in between.
    private async ValueTask<bool> AreIdleAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        long attempts = _queues.Sum(static queue => queue.Idle.Attempts);
        if (!Array.TrueForAll(_queues, static queue => queue.Idle.IsQuiet)) return false;
        foreach (QueueRuntime queue in _queues)
            if (!await queue.Idle.AreRoutesEmptyAsync(cancellationToken).ConfigureAwait(false)) return false;
        return Array.TrueForAll(_queues, static queue => queue.Idle.IsQuiet)
            && attempts == _queues.Sum(static queue => queue.Idle.Attempts);
    }

    /// <summary>Stops gracefully: refuses new tasks, hands over what was not started, lets running handlers finish, and
    /// reports what became of everything.</summary>
    /// <param name="cancellationToken">Ends the wait for running handlers before
    /// <see cref="TaskQueueOptions.DrainTimeout"/> does. The stop itself continues.</param>
    /// <returns>The numbers, the same for every call.</returns>
    public Task<DrainReport> StopAsync(CancellationToken cancellationToken = default)
    {
        lock (_lifecycle) return _stopping ??= Task.Run(() => StopOnceAsync(cancellationToken), CancellationToken.None);
    }

    private async Task<DrainReport> StopOnceAsync(CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        using CancellationTokenSource timeout = new(_drainTimeout, _options.TimeProvider);
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        DrainReport[] reports = await Task.WhenAll(_queues.Select(queue => queue.StopAsync(deadline.Token))).ConfigureAwait(false);
        _results.Stop();
        return DrainReport.Sum(reports, Stopwatch.GetElapsedTime(start));
    }

    /// <summary>Stops gracefully, if that was not done, and releases all resources.</summary>
    /// <returns>A task that completes when everything is closed.</returns>
    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        _telemetry.Dispose();
    }

    /// <inheritdoc cref="DisposeAsync"/>
    /// <remarks>Blocks until everything is closed; prefer <see cref="DisposeAsync"/>.</remarks>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    /// <summary>What each queue did in this process.</summary>
    /// <returns>One entry a queue, in the order of their declaration.</returns>
    public IReadOnlyList<QueueStatistics> GetStatistics() => [.. _queues.Select(static queue => queue.GetStatistics())];

    private Entry FindTask(string name) => _byName.TryGetValue(name, out Entry? entry) ? entry
        : throw new InvalidOperationException(
            $"no task is declared with the name '{name}'; declared: {string.Join(", ", _byName.Keys.Order(StringComparer.Ordinal))}");

    private InvalidOperationException UnknownType(Type type, Entry[]? entries) => new(entries is null
        ? $"no task is declared with the type {type}; declare it with AddHandler or AddProducer; declared: "
        + $"{string.Join(", ", _byType.Keys.Select(static t => t.Name).Order(StringComparer.Ordinal))}"
        : $"{entries.Length} tasks are declared with the type {type}; pass the name of one of them to EnqueueNamedAsync: "
        + $"{string.Join(", ", entries.Select(static e => e.Task.Name))}");

    private IEnumerable<Measurement<int>> ObserveWorkers()
    {
        foreach (QueueRuntime queue in _queues)
            foreach (RouteConnection route in queue.Routes)
                if (route.CountOthers() is { } others)
                    yield return new Measurement<int>(others, queue.NameTag, QueueTelemetry.RouteTag(route.Name));
    }

    private IEnumerable<Measurement<int>> ObserveDepth()
    {
        foreach (QueueRuntime queue in _queues)
        {
            yield return new Measurement<int>(queue.Waiting, queue.NameTag, QueueTelemetry.RouteTag(RouteName.InProcess));
            foreach (RouteConnection route in queue.Routes)
                if (route.CountReady() is { } ready)
                    yield return new Measurement<int>(ready, queue.NameTag, QueueTelemetry.RouteTag(route.Name));
        }
    }

    // A task and its queue: found at once by type or name.
    private sealed record Entry(TaskRegistration Task, QueueRuntime Queue);
}
