using System.Collections.Frozen;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Runtime.CompilerServices;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Otto.Queue;

// The queue itself, with or without a host: it ties names to lanes, and starts and stops them together.

/// <summary>Tasks from here to whoever works on them: this process, this machine, then further.</summary>
/// <remarks>
/// Safe for use by any number of threads. Tasks can be enqueued before <see cref="StartAsync"/>, and in a program that never starts it and only produces.
/// A queue starts and stops once.
/// </remarks>
public sealed class TaskQueue : ITaskQueue, IAsyncDisposable
{
    // Flows into whatever a handler starts: how an enqueue knows that it must not wait.
    private static readonly AsyncLocal<TaskQueue?> Handling = new();

    private readonly TaskQueueOptions _options;
    private readonly FrozenDictionary<Type, TaskBinding[]> _byType;
    private readonly FrozenDictionary<string, TaskBinding> _byName;
    private readonly Lane[] _lanes;
    private readonly QueueClock _clock;
    private readonly QueueTelemetry _telemetry;
    private readonly QueueLog _log;
    private ITaskFilter[]? _filters;
    private ExecutionContext? _handlerContext;
    private Task<DrainReport>? _stopping;
    private readonly Lock _lifecycle = new();
    private bool _started;
    private ulong _number;

    /// <summary>Makes a queue. Nothing is opened before <see cref="StartAsync"/> or the first task.</summary>
    /// <param name="options">What it does; checked here, and not to be changed afterwards.</param>
    /// <exception cref="ArgumentException">An option is out of its range, or two contradict each other; the message carries the numbers.</exception>
    public TaskQueue(TaskQueueOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Freeze();
        _options = options;
        _clock = new QueueClock(options.TimeProvider);
        _log = new QueueLog((ILogger?)options.LoggerFactory?.CreateLogger(QueueTelemetry.SourceName) ?? NullLogger.Instance);
        _telemetry = new QueueTelemetry(ObserveDepth, ObserveWorkers);
        Producer = TaskId.NewProducer();
        DeadLetters = new TaskDeadLetters(this);
        Results = new PendingResults(_clock);

        HashSet<string> handled = [.. options.Declarations.Where(static d => d.Handles).Select(static d => d.QueueName)];
        Dictionary<string, Lane> lanes = [];
        List<TaskBinding> bindings = [];
        foreach (TaskDeclaration declaration in options.Declarations)
        {
            if (!lanes.TryGetValue(declaration.QueueName, out Lane? lane))
                lanes.Add(declaration.QueueName, lane = new Lane(this, declaration.QueueName, handled.Contains(declaration.QueueName), options, _clock, _telemetry, _log));
            TaskBinding binding = declaration.Bind(lane, options.SerializerOf(declaration));
            lane.Add(binding);
            bindings.Add(binding);
        }

        _lanes = [.. lanes.Values];
        _byName = bindings.ToFrozenDictionary(static b => b.Name);
        _byType = options.Declarations.GroupBy(static d => d.TaskType).ToFrozenDictionary(static g => g.Key, g => g.Select(d => _byName[d.Name]).ToArray());
    }

    /// <inheritdoc/>
    public TaskDeadLetters DeadLetters { get; }

    internal PendingResults Results { get; }

    internal ulong Producer { get; }

    internal IReadOnlyList<Lane> Lanes => _lanes;

    internal IEnumerable<ITaskFilter> Filters(IServiceProvider? services) => _filters ??= [.. _options.Filters.Select(make => make(services))];

    internal bool InsideHandler => Handling.Value == this;

    internal ulong NextNumber() => Interlocked.Increment(ref _number);

    /// <inheritdoc/>
    public ValueTask<TaskReceipt> EnqueueAsync<TTask>(TTask task, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(task);
        if (!_byType.TryGetValue(typeof(TTask), out TaskBinding[]? bindings) || bindings.Length != 1) throw UnknownType(typeof(TTask), bindings);
        TaskBinding<TTask> binding = (TaskBinding<TTask>)bindings[0];
        return binding.Lane.Router.EnqueueAsync(binding, task, options, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask<TaskReceipt> EnqueueAsync<TTask>(string name, TTask task, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(task);
        if (!_byName.TryGetValue(name, out TaskBinding? found))
            throw new ArgumentException($"no task is declared with the name '{name}'; declared: {string.Join(", ", _byName.Keys.Order(StringComparer.Ordinal))}", nameof(name));
        if (found is not TaskBinding<TTask> binding)
            throw new ArgumentException($"task '{name}' was not declared with the type {typeof(TTask)}", nameof(task));
        return binding.Lane.Router.EnqueueAsync(binding, task, options, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<IReadOnlyList<TaskReceipt>> EnqueueManyAsync<TTask>(IEnumerable<TTask> tasks, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(tasks);
        List<TaskReceipt> receipts = [];
        // Else the first would all wait for the routes to open, and go on in any order.
        if (_byType.TryGetValue(typeof(TTask), out TaskBinding[]? bindings) && bindings is [{ Lane: { IsOpen: false, State: QueueState.Created } lane }]) await lane.OpenAsync(cancellationToken).ConfigureAwait(false);
        // So many at once share a round trip on a route that has round trips; the calls are made in order.
        foreach (TTask[] some in tasks.Chunk(128))
        {
            Task<TaskReceipt>[] enqueuing = [.. some.Select(task => EnqueueAsync(task, options, cancellationToken).AsTask())];
            Exception? failure = null;
            foreach (Task<TaskReceipt> one in enqueuing)
            {
                try
                {
                    receipts.Add(await one.ConfigureAwait(false));
                }
                catch (Exception e)
                {
                    failure ??= e;
                }
            }

            if (failure is not null)
                throw new AggregateException($"{receipts.Count:N0} tasks were enqueued before one was refused", failure);
        }

        return receipts;
    }

    /// <inheritdoc/>
    public ValueTask<CancelOutcome> CancelAsync(TaskReceipt receipt, CancellationToken cancellationToken = default) => CancelAsync(receipt.Queue, receipt.Id, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CancelOutcome> CancelAsync(string queue, TaskId id, CancellationToken cancellationToken = default) => FindLane(queue).Cancelling.CancelAsync(id, cancellationToken);

    /// <inheritdoc/>
    public async Task<TResult> WaitAsync<TResult>(TaskReceipt receipt, CancellationToken cancellationToken = default)
    {
        if (receipt.Outcome == EnqueueOutcome.Duplicate) throw new InvalidOperationException($"task {receipt.Id} was enqueued by somebody else, who has its result");
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Task looking = LookForResultAsync(FindLane(receipt.Queue), receipt.Id, stop.Token);
        try
        {
            return await Results.WaitAsync<TResult>(receipt.Id, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            await stop.CancelAsync().ConfigureAwait(false);
            await looking.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <inheritdoc/>
    public Task WaitAsync(TaskReceipt receipt, CancellationToken cancellationToken = default) => WaitAsync<object?>(receipt, cancellationToken);

    /// <inheritdoc/>
    public async IAsyncEnumerable<TaskProgress> ProgressAsync(TaskReceipt receipt, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        Lane lane = FindLane(receipt.Queue);
        if (!lane.IsOpen) await lane.OpenAsync(cancellationToken).ConfigureAwait(false);
        await lane.Notices.ListenAsync().ConfigureAwait(false);
        await foreach (TaskProgress progress in lane.Progress.WatchAsync(receipt.Id, cancellationToken).ConfigureAwait(false)) yield return progress;
    }

    /// <summary>Watches how far the tasks of a queue say they are, whoever sent them and wherever they run.</summary>
    /// <param name="queue">The queue.</param>
    /// <param name="cancellationToken">Ends the watching.</param>
    /// <returns>What their handlers report, at most ten times a second for each that runs in another process; the oldest reports are passed over where you are slow.</returns>
    /// <exception cref="ArgumentException">There is no such queue here; the message lists those there are.</exception>
    public async IAsyncEnumerable<TaskProgress> ProgressAsync(string queue, [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        Lane lane = FindLane(queue);
        if (!lane.IsOpen) await lane.OpenAsync(cancellationToken).ConfigureAwait(false);
        await lane.Notices.ListenAsync().ConfigureAwait(false);
        await foreach (TaskProgress progress in lane.Progress.WatchAsync(default, cancellationToken).ConfigureAwait(false)) yield return progress;
    }

    /// <summary>Says where a task would go now and why, and what each route looks like from here. Sends nothing.</summary>
    /// <param name="task">The task's name.</param>
    /// <param name="options">What would be asked for it.</param>
    /// <param name="cancellationToken">Gives up.</param>
    /// <returns>The way, the reason, and the routes.</returns>
    /// <exception cref="ArgumentException">No task of that name is declared.</exception>
    /// <exception cref="InvalidOperationException">No configured route could take such a task; the message says what is missing.</exception>
    public async ValueTask<RouteExplanation> ExplainRouteAsync(string task, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
    {
        if (!_byName.TryGetValue(task, out TaskBinding? binding)) throw new ArgumentException($"no task is declared with the name '{task}'; declared: {string.Join(", ", _byName.Keys.Order(StringComparer.Ordinal))}", nameof(task));
        Lane lane = binding.Lane;
        if (!lane.IsOpen) await lane.OpenAsync(cancellationToken).ConfigureAwait(false);
        (options ??= EnqueueOptions.Default).Check();
        (Route route, string reason) = lane.Router.Foresee(binding, options);
        List<RouteStatus> sights = [new(Route.InProcess, null, lane.AcceptsHere ? lane.Roster?.Workers.Length ?? 0 : 0, new Ipc.WorkQueueCounts(lane.Ring.Count + lane.Waiting.Count, 0, 0, lane.Ring.Capacity - lane.Ring.Count, TimeSpan.Zero))];
        foreach (RouteConnection r in lane.Routes)
        {
            Ipc.WorkQueueCounts? counts = null;
            string? trouble = r.Channel.Status;
            try
            {
                if (trouble is null) counts = await r.Channel.CountAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (IOException e)
            {
                trouble = e.Message;
            }

            sights.Add(new RouteStatus(r.Route.Route, trouble, r.Channel.OtherWorkers, counts));
        }

        return new RouteExplanation(lane.Name, route, reason, sights);
    }

    // A notice can be missed, as when a connection was away: a route that keeps results is asked now and then.
    private async Task LookForResultAsync(Lane lane, TaskId id, CancellationToken stop)
    {
        for (TimeSpan pause = TimeSpan.FromSeconds(1); Results.Expects(id); pause = pause < TimeSpan.FromSeconds(30) ? pause * 2 : pause)
        {
            await Task.Delay(pause, stop).ConfigureAwait(false);
            foreach (RouteConnection route in lane.Routes)
            {
                try
                {
                    if (await route.Channel.FindResultAsync(id, stop).ConfigureAwait(false) is { } notice) lane.Notices.Hear(notice);
                }
                catch (Exception e) when (e is IOException or ObjectDisposedException)
                {
                    // Asked again after the next pause.
                }
            }
        }
    }

    internal Lane FindLane(string queue)
    {
        foreach (Lane lane in _lanes)
            if (lane.Name == queue) return lane;
        throw new ArgumentException($"there is no queue '{queue}'; there are: {string.Join(", ", _lanes.Select(static l => l.Name))}", nameof(queue));
    }

    /// <summary>Opens the routes, announces this process as a worker for what it handles, and starts working.</summary>
    /// <param name="cancellationToken">Gives up starting.</param>
    /// <returns>Ends when every queue runs.</returns>
    /// <exception cref="InvalidOperationException">It was started or stopped before.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        lock (_lifecycle)
        {
            if (_started || _stopping is not null) throw new InvalidOperationException("this queue was started or stopped before; a queue starts once");
            _started = true;
        }

        foreach (Lane lane in _lanes)
        {
            await lane.StartAsync(_options.Services, cancellationToken).ConfigureAwait(false);
            if (lane.Roster is { } roster)
                _log.Started(lane.Name, roster.Workers.Length, string.Join(", ", lane.Bindings.Where(static b => b.HandledHere).Select(static b => b.Name)),
                    string.Join(", ", lane.Routes.Select(static r => r.Route.Route).Prepend(Route.InProcess)));
        }
    }

    /// <summary>Stops gracefully: refuses new tasks, hands over what was not started, lets running handlers finish, and says what became of everything.</summary>
    /// <param name="cancellationToken">Ends the patience with running handlers before <see cref="TaskQueueOptions.DrainTimeout"/> does; the stop itself goes on.</param>
    /// <returns>The numbers, the same for every call.</returns>
    public Task<DrainReport> StopAsync(CancellationToken cancellationToken = default)
    {
        lock (_lifecycle) return _stopping ??= Task.Run(() => StopOnceAsync(cancellationToken), CancellationToken.None);
    }

    private async Task<DrainReport> StopOnceAsync(CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        using CancellationTokenSource timeout = new(_options.DrainTimeout, _options.TimeProvider);
        using CancellationTokenSource deadline = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        DrainReport[] reports = await Task.WhenAll(_lanes.Select(lane => QueueDrain.RunAsync(lane, deadline.Token))).ConfigureAwait(false);
        return DrainReport.Sum(reports, Stopwatch.GetElapsedTime(start));
    }

    /// <summary>Stops gracefully, if that was not done, and lets go of everything.</summary>
    /// <returns>Ends when all is closed.</returns>
    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        _telemetry.Dispose();
    }

    /// <summary>What each queue did in this process.</summary>
    /// <returns>One entry a queue, in the order of their declaration.</returns>
    public IReadOnlyList<QueueStatistics> GetStatistics() => [.. _lanes.Select(static lane => lane.GetStatistics())];

    /// <summary>Makes the calling pool thread run in the handlers' context: clean, but for the mark that says so.</summary>
    internal void EnterHandlers()
    {
        if (_handlerContext is { } context)
        {
            ExecutionContext.Restore(context);
            return;
        }

        // The first worker's thread comes clean from the pool; its context, marked, serves all others.
        Handling.Value = this;
        _handlerContext = ExecutionContext.Capture();
    }

    /// <summary>Undoes what a handler may have set in its context, which would leak into the next task.</summary>
    internal void LeaveHandler()
    {
        if (!ReferenceEquals(ExecutionContext.Capture(), _handlerContext)) ExecutionContext.Restore(_handlerContext!);
    }

    private ArgumentException UnknownType(Type type, TaskBinding[]? bindings) => new(bindings is null
        ? $"no task is declared with the type {type}; declare it with Handle or Send; declared: {string.Join(", ", _byType.Keys.Select(static t => t.Name).Order(StringComparer.Ordinal))}"
        : $"{bindings.Length} tasks are declared with the type {type}; say which: {string.Join(", ", bindings.Select(static b => b.Name))}");

    private IEnumerable<Measurement<int>> ObserveWorkers()
    {
        foreach (Lane lane in _lanes)
            foreach (RouteConnection route in lane.Routes)
                if (route.CountOthers() is { } others) yield return new Measurement<int>(others, lane.NameTag, QueueTelemetry.RouteTag(route.Route.Route));
    }

    private IEnumerable<Measurement<int>> ObserveDepth()
    {
        foreach (Lane lane in _lanes)
        {
            yield return new Measurement<int>(lane.Ring.Count + lane.Waiting.Count, lane.NameTag, QueueTelemetry.RouteTag(Route.InProcess));
            foreach (RouteConnection route in lane.Routes)
                if (route.CountReady() is { } ready) yield return new Measurement<int>(ready, lane.NameTag, QueueTelemetry.RouteTag(route.Route.Route));
        }
    }
}
