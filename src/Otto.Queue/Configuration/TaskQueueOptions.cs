using System.ComponentModel;
using System.Collections.ObjectModel;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;
using Otto.Ipc;

namespace Otto.Queue;

// Everything a program says about its queue: tasks, routes, filters, the rest. Checked once, when a queue is made of it.

/// <summary>What a <see cref="TaskQueue"/> does. Not to be changed once a queue was made of it.</summary>
/// <remarks>Without a host, <see cref="TaskQueue.Create"/> creates and configures it. With one,
/// <c>AddOttoQueue</c> makes it by the options pattern, and <c>services.Configure&lt;TaskQueueOptions&gt;</c> adds to
/// it.</remarks>
public sealed partial class TaskQueueOptions
{
    private readonly List<TaskDeclaration> _declarations = [];
    private readonly Dictionary<string, HandlerOptions> _options = new(StringComparer.Ordinal);
    private readonly List<ITaskRoute> _added = [];
    private readonly HashSet<ITaskRoute> _disabled = [];
    private readonly List<Func<IServiceProvider?, ITaskFilter>> _filters = [];
    private JsonTaskSerializer? _defaultSerializer;
    private bool _isReadOnly;

    /// <summary>Gets the handlers that the services make by their constructor: what that
    /// asks for can be checked.</summary>
    internal HashSet<Type> HandlersByConstructor { get; } = [];

    /// <summary>Gets the options of the route within this process.</summary>
    public InProcessOptions InProcess { get; } = new();

    /// <summary>Gets the options of the route through shared memory.</summary>
    public SharedMemoryOptions SharedMemory { get; } = new();

    /// <summary>Gets the options of each task that was added, by its name.</summary>
    public IReadOnlyDictionary<string, HandlerOptions> Tasks => new ReadOnlyDictionary<string, HandlerOptions>(_options);

    /// <summary>Gets the routes that <see cref="AddRoute"/> added. They can be replaced here, for tests for
    /// example.</summary>
    public IList<ITaskRoute> AddedRoutes => _isReadOnly ? _added.AsReadOnly() : _added;

    /// <summary>Gets the filters that run around every handler here, the outermost first. Each is made when the queue
    /// starts, with the program's services if it has any.</summary>
    public IList<Func<IServiceProvider?, ITaskFilter>> Filters => _isReadOnly ? _filters.AsReadOnly() : _filters;

    /// <summary>Turns tasks into bytes where they leave the process. System.Text.Json by default; see also
    /// <see cref="UseJson(JsonSerializerContext)"/>.</summary>
    public ITaskSerializer? Serializer { get; set; }

    /// <summary>Where handlers and scopes come from; <see langword="null"/> if there is none. Hosting sets
    /// it.</summary>
    public IServiceProvider? Services { get; set; }

    /// <summary>Where the queue logs to; <see langword="null"/> for nowhere. Hosting sets it.</summary>
    public ILoggerFactory? LoggerFactory { get; set; }

    /// <summary>The clock of back-offs, timeouts and ages. Hosting sets it if the services have one.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;

    /// <summary>How long a graceful stop lets running handlers finish; 25 s by default, inside a host's usual
    /// 30.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(25);

    /// <summary>For tests: each task handed over in this process is serialized and read back first, so that a type that
    /// would not survive another route fails here and not on overflow.</summary>
    public bool RoundTripEveryTask { get; set; }

    /// <summary>For tests: a task that is pinned to a route by <see cref="EnqueueOptions.Route"/> goes where it would
    /// go without the pin, so that one route can replace all others.</summary>
    [EditorBrowsable(EditorBrowsableState.Never)]
    public bool IgnorePinnedRoutes { get; set; }

    internal IReadOnlyList<TaskDeclaration> Declarations => _declarations;

    /// <summary>The routes beyond this process, nearest first; known once the options are read-only.</summary>
    internal IReadOnlyList<ITaskRoute> Routes { get; private set; } = [];

    /// <summary>Runs code around every handler here. The first that is added is the outermost.</summary>
    /// <param name="filter">Makes the filter when the queue starts, with the program's services if it has any; used
    /// by several threads at once.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions AddFilter(Func<IServiceProvider?, ITaskFilter> filter)
    {
        ArgumentNullException.ThrowIfNull(filter);
        ThrowIfReadOnly();
        _filters.Add(filter);
        return this;
    }

    /// <summary>Configures how tasks travel within this process.</summary>
    /// <param name="configure">Sets the bounds.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions UseInProcess(Action<InProcessOptions> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        configure(InProcess);
        return this;
    }

    /// <summary>Uses shared memory between the processes of this machine. On by default: call this to say how, or to
    /// switch it off.</summary>
    /// <param name="configure">Sets where, and how large.</param>
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
        ThrowIfReadOnly();
        _added.Add(route);
        return this;
    }

    /// <summary>Serializes tasks as JSON by source-generated contracts: needed in a trimmed or native program, and
    /// faster in any.</summary>
    /// <param name="context">The contracts, such as <c>MyTasks.Default</c>.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions UseJson(JsonSerializerContext context)
    {
        Serializer = new JsonTaskSerializer(context);
        return this;
    }

    /// <summary>Serializes tasks as JSON by the contracts that <paramref name="options"/> resolve.</summary>
    /// <param name="options">The options, with a type-info resolver.</param>
    /// <returns>These options.</returns>
    public TaskQueueOptions UseJson(JsonSerializerOptions options)
    {
        Serializer = new JsonTaskSerializer(options);
        return this;
    }

    /// <summary>Of the routes that were added, enables only those named. The others stay known: a further section may
    /// configure or name them.</summary>
    internal void EnableOnly(IReadOnlyCollection<string> names)
    {
        _disabled.Clear();
        _disabled.UnionWith(_added.Where(r => !names.Contains(r.Name.ToString(), StringComparer.OrdinalIgnoreCase)));
    }

    internal ITaskSerializer SerializerOf(TaskDeclaration declaration)
        => declaration.Options.Serializer
           ?? (BytesTaskSerializer.Fits(declaration.TaskType) ? BytesTaskSerializer.Instance
           : Serializer ?? (_defaultSerializer ??= JsonTaskSerializer.CreateDefault()));

    /// <summary>Checks everything once, and rejects further changes.</summary>
    /// <exception cref="ArgumentException">An option is out of its range, or two contradict each other.</exception>
    internal void MakeReadOnly()
    {
        if (_isReadOnly) return;
        Routes = [.. _added.Where(r => !_disabled.Contains(r)).Concat(SharedMemoryRoute.For(SharedMemory)).OrderBy(static r => r.Reach)];
        OptionsValidation.Check(this);
        _isReadOnly = true;
    }

    private void ThrowIfReadOnly()
    {
        if (_isReadOnly) throw new InvalidOperationException("the options cannot be modified after a TaskQueue has been created from them");
    }
}
