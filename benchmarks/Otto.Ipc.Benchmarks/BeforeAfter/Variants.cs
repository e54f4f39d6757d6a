using System.Diagnostics;
using System.Text.Json;
using System.Text.Json.Serialization;
using Otto.Ipc.Benchmarks.Matrix.Subjects;
using Otto.Ipc.Benchmarks.Measuring;
using Otto.Queue;

namespace Otto.Ipc.Benchmarks.BeforeAfter;

// The same small task, handed over in each of the ways that are compared. The handler does nothing but count.

/// <summary>What a task of the original case carried: a name and a number.</summary>
internal sealed record SmallTask(int Number, string Path);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(SmallTask))]
internal sealed partial class SmallTaskJson : JsonSerializerContext;

/// <summary>Counts handled tasks, and notes when the first and the last of a run were. For
/// handlers on any number of threads.</summary>
internal sealed class Tally
{
    private int _left;
    private long _first;
    private TaskCompletionSource<(long First, long Last)> _done = new();

    public Task<(long First, long Last)> Expect(int tasks)
    {
        (_left, _first) = (tasks, 0);
        _done = new TaskCompletionSource<(long First, long Last)>(TaskCreationOptions.RunContinuationsAsynchronously);
        return _done.Task;
    }

    public void Count()
    {
        if (Volatile.Read(ref _first) == 0) Interlocked.CompareExchange(ref _first, Stopwatch.GetTimestamp(), 0);
        if (Interlocked.Decrement(ref _left) == 0) _done.TrySetResult((_first, Stopwatch.GetTimestamp()));
    }

    public ValueTask HandleAsync(SmallTask task, TaskContext context, CancellationToken cancellationToken)
    {
        Count();
        return default;
    }
}

/// <summary>One way, as its producer has it.</summary>
internal abstract class Variant : IAsyncDisposable
{
    public const string Queue = "small";

    public abstract string Name { get; }

    public abstract string Title { get; }

    /// <summary>Where the other process finds the queue; <see langword="null"/> where there is none.</summary>
    public virtual string? Address => null;

    public virtual Task StartAsync() => Task.CompletedTask;

    public abstract Task ProduceAsync(int tasks);

    public abstract ValueTask DisposeAsync();

    protected static SmallTask Make(int number) => new(number, "a.jpg");
}

/// <summary>A Redis stream by hand: one round trip at a time, or many commands on their way together.</summary>
internal sealed class RedisVariant(bool batched) : Variant
{
    private static readonly LinkOptions Options = new(256);

    private readonly RedisWorkspace _workspace = new(keep: false);
    private Outlet? _outlet;

    public override string Name => batched ? "redis-batched" : "redis-single";

    public override string Title => batched ? "Redis, batched by hand" : "Redis, one round trip at a time";

    public override string Address => _workspace.Address;

    public override Task StartAsync()
    {
        _outlet = new RedisSubject(batched).OpenOutlet(Address, Queue, Options);
        return Task.CompletedTask;
    }

    public override Task ProduceAsync(int tasks)
    {
        for (int i = 0; i < tasks; i++)
        {
            byte[] bytes = JsonSerializer.SerializeToUtf8Bytes(Make(i), SmallTaskJson.Default.SmallTask);
            bytes.CopyTo(_outlet!.Prepare(bytes.Length));
            _outlet.Send(bytes.Length);
        }

        _outlet!.Flush();
        return Task.CompletedTask;
    }

    /// <summary>The other process: takes tasks, for ever.</summary>
    public static void Work(bool batched, string address, Tally tally)
    {
        using Inlet inlet = new RedisSubject(batched).OpenInlet(address, Queue, Options);
        inlet.Patience = TimeSpan.FromHours(1);
        while (true)
        {
            if (JsonSerializer.Deserialize(inlet.Receive(awake: false), SmallTaskJson.Default.SmallTask) is null)
                throw new InvalidDataException("a task that is null");
            tally.Count();
        }
    }

    public override ValueTask DisposeAsync()
    {
        _outlet?.Dispose();
        _workspace.Dispose();
        return default;
    }
}

/// <summary>Otto.Queue over one of its routes.</summary>
internal sealed class QueueVariant : Variant
{
    // Enough tasks to share round trips, few enough to keep the memory of their receipts small.
    private const int Many = 1000;

    // A worker takes no more tasks than it has free hands. Over Redis, what it takes at once shares a round
    // trip; elsewhere there is none to share.
    private const int Hands = 128;

    private readonly RouteName _route;
    private readonly ScratchDirectory? _directory;
    private readonly RedisWorkspace? _redis;
    private readonly TaskQueue _queue;

    /// <param name="route">Which.</param>
    /// <param name="tally">Who counts, where the worker is this process.</param>
    public QueueVariant(RouteName route, Tally? tally)
    {
        _route = route;
        _directory = route == RouteName.SharedMemory ? ScratchDirectory.InSharedMemory() : null;
        _redis = route == RouteName.Redis ? new RedisWorkspace(keep: false) : null;
        _queue = new TaskQueue(Options(route, Address ?? "", route == RouteName.InProcess ? tally : null));
    }

    public override string Name =>
        _route == RouteName.InProcess ? "otto-inprocess" : _route == RouteName.SharedMemory ? "otto-mmap" : "otto-redis";

    public override string Title =>
        _route == RouteName.InProcess ? "Otto.Queue, in process"
        : _route == RouteName.SharedMemory ? "Otto.Queue, shared memory" : "Otto.Queue, Redis";

    public override string? Address => _directory?.Path ?? _redis?.Address;

    public override Task StartAsync() => _queue.StartAsync();

    public override async Task ProduceAsync(int tasks)
    {
        if (_route == RouteName.Redis)
        {
            for (int i = 0; i < tasks; i += Many)
                await _queue.EnqueueManyAsync(Enumerable.Range(i, Math.Min(Many, tasks - i)).Select(Make)).ConfigureAwait(false);
            return;
        }

        for (int i = 0; i < tasks; i++)
        {
            ValueTask<TaskReceipt> enqueued = _queue.EnqueueAsync(Make(i));
            if (!enqueued.IsCompletedSuccessfully) await enqueued.ConfigureAwait(false);
        }
    }

    /// <summary>The other process: a worker until it is told to stop.</summary>
    public static async Task WorkAsync(RouteName route, string address, Tally tally)
    {
        var queue = new TaskQueue(Options(route, address, tally));
        await queue.StartAsync().ConfigureAwait(false);
        await Task.Delay(Timeout.Infinite).ConfigureAwait(false);
    }

    public override async ValueTask DisposeAsync()
    {
        await _queue.DisposeAsync().ConfigureAwait(false);
        _directory?.Dispose();
        _redis?.Dispose();
    }

    private static TaskQueueOptions Options(RouteName route, string address, Tally? tally)
    {
        TaskQueueOptions options = new TaskQueueOptions { DrainTimeout = TimeSpan.FromSeconds(1) }.UseJson(SmallTaskJson.Default);
        _ = tally is null ? options.AddProducer<SmallTask>(Queue)
            : options.AddHandler<SmallTask>(Queue, tally.HandleAsync,
                h => { h.Scope = false; h.Concurrency = route == RouteName.Redis ? Hands : 1; });
        options.UseInProcess(o => (o.Enabled, o.FullMode) = (route == RouteName.InProcess, QueueFullMode.Wait));
        options.UseSharedMemory(o => (o.Enabled, o.Directory, o.FullMode) = (route == RouteName.SharedMemory, address, QueueFullMode.Wait));
        return route == RouteName.Redis ? options.UseRedis(address, o => o.FullMode = QueueFullMode.Wait) : options;
    }
}
