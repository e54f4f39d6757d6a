using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Otto.Ipc;

namespace Otto.Queue;

// Everything a program says about its queue, in the order in which it says it: tasks, routes, the rest. Checked once, by Freeze.

/// <summary>What a <see cref="TaskQueue"/> does. Not to be changed once a queue was made of it.</summary>
public sealed class TaskQueueOptions
{
    private readonly List<TaskDeclaration> _declarations = [];
    private readonly List<ITaskRoute> _added = [];
    private readonly List<Func<IServiceProvider?, ITaskFilter>> _filters = [];
    private JsonTaskSerializer? _defaultSerializer;
    private bool _frozen;

    internal IReadOnlyList<TaskDeclaration> Declarations => _declarations;

    internal IReadOnlyList<ITaskRoute> AddedRoutes => _added;

    internal IReadOnlyList<Func<IServiceProvider?, ITaskFilter>> Filters => _filters;

    internal InProcessOptions InProcess { get; } = new();

    internal SharedMemoryOptions SharedMemory { get; } = new();

    /// <summary>The routes beyond this process, nearest first; known once frozen.</summary>
    internal IReadOnlyList<ITaskRoute> Routes { get; private set; } = [];

    /// <summary>Turns tasks into bytes where they leave the process. System.Text.Json by default; see also
    /// <see cref="UseJson(JsonSerializerContext)"/>.</summary>
    public ITaskSerializer? Serializer { get; set; }

    /// <summary>Where handlers and scopes come from; <see langword="null"/> if there is none. Hosting sets
    /// it.</summary>
    public IServiceProvider? Services { get; set; }

    /// <summary>Where the queue logs to; <see langword="null"/> for nowhere. Hosting sets it.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>The clock of back-offs, timeouts and ages.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>How long a graceful stop lets running handlers finish; 25 s by default, inside a host's usual
    /// 30.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>For tests: each task handed over in this process is serialised and read back first, so that a type that
    /// would not survive another route fails here and not on overflow.</summary>
    public bool RoundTripEveryTask { get; set; }

    /// <summary>Declares a task and the type that handles it here.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <typeparam name="THandler">The handler's type: from the services where there are some, else made by its
    /// constructor without parameters.</typeparam>
    /// <param name="name">The task's stable name, the same in every process: 1 to 100 letters, digits, <c>.</c>,
    /// <c>_</c> or <c>-</c>.</param>
    /// <param name="configure">How it is worked on.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)]
        THandler>(string name, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        where THandler : class, ITaskHandler<TTask>
        => Declare(new TaskDeclaration<TTask>(name, Configure(configure))
        {
            Resolve = static services => services is null ? Activator.CreateInstance<THandler>()
            : ActivatorUtilities.GetServiceOrCreateInstance<THandler>(services),
            RegisterHandler = static services => services.TryAddTransient<THandler>(),
        });

    /// <summary>Declares a task and the object that handles it here, for every task and any number of them at a
    /// time.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="handler">The handler; used by several threads at once where
    /// <see cref="HandlerOptions.Concurrency"/> is above 1.</param>
    /// <param name="configure">How it is worked on.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask>(string name, ITaskHandler<TTask> handler, Action<HandlerOptions>? configure = null)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(handler);
        return Declare(new TaskDeclaration<TTask>(name, Configure(configure)) { Invoke = handler.HandleAsync });
    }

    /// <summary>Declares a task and the function that handles it here.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="handler">The handler; used by several threads at once where
    /// <see cref="HandlerOptions.Concurrency"/> is above 1.</param>
    /// <param name="configure">How it is worked on.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask>(string name, Func<TTask, TaskContext, CancellationToken, ValueTask> handler,
        Action<HandlerOptions>? configure = null)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(handler);
        return Declare(new TaskDeclaration<TTask>(name, Configure(configure)) { Invoke = handler });
    }

    /// <summary>Declares a task with a result and the type that handles it here.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <typeparam name="TResult">The result's type.</typeparam>
    /// <typeparam name="THandler">The handler's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="configure">How it is worked on.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask, TResult, [DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)]
        THandler>(string name, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        where THandler : class, ITaskHandler<TTask, TResult>
        => Declare(new TaskDeclaration<TTask>(name, Configure(configure))
        {
            Resolve = static services =>
            new ResultHandler<TTask, TResult>(
                services is null ? Activator.CreateInstance<THandler>()
                : ActivatorUtilities.GetServiceOrCreateInstance<THandler>(services)),
            RegisterHandler = static services => services.TryAddTransient<THandler>(),
            WriteResult = ResultHandler<TTask, TResult>.Write,
        });

    /// <summary>Declares a task with a result and the function that handles it here.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <typeparam name="TResult">The result's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="handler">The handler; used by several threads at once where
    /// <see cref="HandlerOptions.Concurrency"/> is above 1.</param>
    /// <param name="configure">How it is worked on.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddHandler<TTask, TResult>(string name, Func<TTask, TaskContext, CancellationToken, ValueTask<TResult>> handler,
        Action<HandlerOptions>? configure = null)
        where TTask : notnull
    {
        ArgumentNullException.ThrowIfNull(handler);
        return Declare(new TaskDeclaration<TTask>(name, Configure(configure))
        {
            Invoke = new ResultHandler<TTask, TResult>(new ResultFunction<TTask, TResult>(handler)).HandleAsync,
            WriteResult = ResultHandler<TTask, TResult>.Write,
        });
    }

    /// <summary>Runs code around every handler here. The first that is added is the outermost.</summary>
    /// <param name="filter">Makes the filter when the queue starts, with the program's services where it has any; used
    /// by several threads at once.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddFilter(Func<IServiceProvider?, ITaskFilter> filter)
    {
        ArgumentNullException.ThrowIfNull(filter);
        ThrowIfFrozen();
        _filters.Add(filter);
        return this;
    }

    /// <summary>Declares a task that this process only produces: others work on it.</summary>
    /// <typeparam name="TTask">The task's type.</typeparam>
    /// <param name="name">The task's stable name.</param>
    /// <param name="configure">Its queue and serialiser; the rest concerns only workers.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddProducer<TTask>(string name, Action<HandlerOptions>? configure = null)
        where TTask : notnull
        => Declare(new TaskDeclaration<TTask>(name, Configure(configure)));

    /// <summary>Configures how tasks travel within this process.</summary>
    /// <param name="configure">The bounds.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions UseInProcess(Action<InProcessOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        configure(InProcess);
        return this;
    }

    /// <summary>Uses shared memory between the processes of this machine. On by default: call this to say how, or to
    /// switch it off.</summary>
    /// <param name="configure">Where, and how large.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions UseSharedMemory(Action<SharedMemoryOptions>? configure = null)
    {
        SharedMemory.Enabled = true;
        configure?.Invoke(SharedMemory);
        return this;
    }

    /// <summary>Adds a route beyond this process, such as Redis.</summary>
    /// <param name="route">The route.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddRoute(ITaskRoute route)
    {
        ArgumentNullException.ThrowIfNull(route);
        ThrowIfFrozen();
        _added.Add(route);
        return this;
    }

    /// <summary>Serialises tasks as JSON by source-generated contracts: needed in a trimmed or native program, and
    /// faster in any.</summary>
    /// <param name="context">The contracts, such as <c>MyTasks.Default</c>.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions UseJson(JsonSerializerContext context)
    {
        Serializer = new JsonTaskSerializer(context);
        return this;
    }

    /// <summary>Serialises tasks as JSON by the contracts that <paramref name="options"/> resolve.</summary>
    /// <param name="options">The options, with a type-info resolver.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions UseJson(JsonSerializerOptions options)
    {
        Serializer = new JsonTaskSerializer(options);
        return this;
    }

    /// <summary>Whether tasks go where they would without a pin: for tests, which have one route only.</summary>
    internal bool IgnoresPins { get; set; }

    /// <summary>Adds a filter outside of all others.</summary>
    internal void FilterFirst(Func<IServiceProvider?, ITaskFilter> filter) => _filters.Insert(0, filter);

    /// <summary>Of the routes that were added, keeps only those named.</summary>
    internal void KeepRoutes(IReadOnlyCollection<string> names) =>
        _added.RemoveAll(r => !names.Contains(r.Name.ToString(), StringComparer.OrdinalIgnoreCase));

    internal ITaskSerializer SerializerOf(TaskDeclaration declaration)
        => declaration.Options.OwnSerializer
           ?? (BytesTaskSerializer.Fits(declaration.TaskType) ? BytesTaskSerializer.Instance
           : Serializer ?? (_defaultSerializer ??= JsonTaskSerializer.CreateDefault()));

    /// <summary>Checks everything once, and rejects further changes.</summary>
    internal void Freeze()
    {
        if (_frozen) return;
        CheckRange("InProcess.Capacity", InProcess.Capacity, 1, InProcessOptions.MaxCapacity);
        CheckRange("InProcess.Weight", InProcess.Weight, 1, 10_000);
        CheckRange("SharedMemory.Weight", SharedMemory.Weight, 1, 10_000);
        Check(DrainTimeout >= TimeSpan.Zero && DrainTimeout <= TimeSpan.FromDays(1), $"DrainTimeout must be 0 to 1 day: {DrainTimeout}");

        Routes = [.. _added.Concat(SharedMemoryRoute.For(SharedMemory)).OrderBy(static r => r.Reach)];
        for (int i = 0; i < Routes.Count; i++)
        {
            Check(Routes[i].Name != RouteName.InProcess,
                "an added route has the name InProcess; an added route must lead to other processes");
            Check(!Routes.Take(i).Any(r => r.Name == Routes[i].Name), $"route {Routes[i].Name} is added twice");
            CheckRange($"{Routes[i].Name}.Weight", Routes[i].Weight, 1, 10_000);
        }

        Check(InProcess.Enabled || Routes.Count > 0,
            "no route is on: InProcess and SharedMemory are both disabled or not available here, and none was added");
        foreach (IGrouping<string, TaskDeclaration> queue in _declarations.GroupBy(static d => d.QueueName)) CheckQueue(queue);
        foreach (TaskDeclaration declaration in _declarations) CheckTask(declaration);
        _frozen = true;
    }

    private void CheckTask(TaskDeclaration task)
    {
        HandlerOptions o = task.Options;
        string of = $"task '{task.Name}': ";
        CheckRange(of + "Retry", o.Retries, 0, 1000);
        int attempts = SharedMemory.MaxAttempts ?? Ipc.Mmap.MmapQueueOptions.DefaultMaxAttempts;
        Check(!task.Handles || !SharedMemory.Enabled || o.Retries < attempts,
            $"{of}Retry({o.Retries}) makes {o.Retries + 1} attempts, more than the {attempts} after which its segment moves a task to "
            + $"the dead letters; "
            + $"raise SharedMemory.MaxAttempts");
        Check(o.FirstDelay >= TimeSpan.Zero && o.FirstDelay <= o.MaxDelay,
            $"{of}Backoff from {o.FirstDelay} up to {o.MaxDelay}: the first delay must be 0 or more and at most the maximum");
        Check(o.MaxDelay <= TimeSpan.FromDays(1), $"{of}Backoff of {o.MaxDelay} is longer than a day");
        Check(o.BackoffFactor is >= 1 and <= 100,
            string.Create(CultureInfo.InvariantCulture, $"{of}Backoff's factor must be 1 to 100: {o.BackoffFactor}"));
        Check(o.JitterPart is >= 0 and <= 1,
            string.Create(CultureInfo.InvariantCulture, $"{of}Backoff's jitter must be 0 to 1: {o.JitterPart}"));
        if (o.TimeoutAfter is { } timeout)
            Check(timeout >= TimeSpan.FromMilliseconds(1) && timeout <= TimeSpan.FromDays(24),
                $"{of}Timeout must be 1 ms to 24 days: {timeout}");
        if (o.ConcurrencyLimit is { } concurrency) CheckRange(of + "Concurrency", concurrency, 1, 10_000);
        if ((Routes.Count > 0 || RoundTripEveryTask) && SerializerOf(task).Refuses(task.TaskType) is { } refusal)
            throw new ArgumentException(of + refusal);
    }

    private static void CheckQueue(IGrouping<string, TaskDeclaration> queue)
    {
        List<TaskDeclaration> handled = [.. queue.Where(static d => d.Handles)];
        string[] limits = [.. handled.Select(static d => d.Options.ConcurrencyLimit ?? Environment.ProcessorCount).Distinct().Select(
            static c => c.ToString(CultureInfo.InvariantCulture))];
        Check(limits.Length <= 1, $"queue '{queue.Key}' holds {string.Join(", ", handled.Select(static d => d.Name))}, which share its "
            + $"workers but ask for Concurrency {string.Join(" and ", limits)}; give them the same");
    }

    private TaskQueueOptions Declare(TaskDeclaration declaration)
    {
        ThrowIfFrozen();
        _ = new ChannelName(declaration.Name);
        _ = new ChannelName(declaration.QueueName);
        if (_declarations.Exists(d => d.Name == declaration.Name))
            throw new ArgumentException($"task '{declaration.Name}' is declared twice");
        _declarations.Add(declaration);
        return this;
    }

    private static HandlerOptions Configure(Action<HandlerOptions>? configure)
    {
        HandlerOptions options = new();
        configure?.Invoke(options);
        return options;
    }

    private void ThrowIfFrozen()
    {
        if (_frozen) throw new InvalidOperationException("the options cannot be modified after a TaskQueue has been created from them");
    }

    private static void CheckRange(string what, int value, int low, int high)
        => Check(value >= low && value <= high,
            string.Create(CultureInfo.InvariantCulture, $"{what} must be {low:N0} to {high:N0}: {value:N0}"));

    private static void Check([DoesNotReturnIf(false)] bool holds, string problem)
    {
        if (!holds) throw new ArgumentException(problem);
    }
}
