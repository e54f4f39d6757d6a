using System.Diagnostics.CodeAnalysis;

namespace Otto.Queue.Testing;

// The queue that a test holds: the program's own tasks, handlers, filters and retries, on a route in memory that the test drives.

/// <summary>A task queue for tests: what is enqueued waits until the test runs it, one task at a
/// time, the earliest first, with follow-ups and retries, by a clock that the test moves.</summary>
/// <remarks>
/// Everything but the route is the real queue. Attempts never overlap, whatever
/// <see cref="HandlerOptions.Concurrency"/> says, and back-offs have no jitter, so a test runs the same way each time.
/// No file, segment or server is touched. Enqueuing is safe for use by any number of threads; run tasks from one.
/// </remarks>
[SuppressMessage("Naming", "CA1711", Justification = "It is a queue of tasks.")]
public sealed class TestTaskQueue : ITaskQueue, IAsyncDisposable
{
    private readonly MemoryRoute _route;
    private readonly AttemptRecorder _recorder;
    private readonly TaskQueue _queue;
    private readonly bool _owned;
    private bool _started;

    /// <summary>Makes a queue of a program's options: its routes are replaced by one in memory.</summary>
    /// <param name="options">The program's options, freshly made: a queue is made of them here.</param>
    /// <param name="roundTripEveryTask">Whether each task is serialized, read back and compared, so that a type
    /// that would not survive another route fails here. Without it handlers get the very objects.</param>
    /// <param name="clock">The clock; a new one by default.</param>
    public TestTaskQueue(TaskQueueOptions options, bool roundTripEveryTask = true, TestClock? clock = null)
        : this(new TestSettings(roundTripEveryTask, clock ?? new TestClock()), options)
    {
    }

    private TestTaskQueue(TestSettings settings, TaskQueueOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        settings.Apply(options);
        _owned = true;
        (_route, _recorder) = (settings.Route, settings.Recorder);
        _queue = new TaskQueue(options);
    }

    /// <summary>For a queue that a host makes and starts.</summary>
    internal TestTaskQueue(TestSettings settings, TaskQueue queue)
    {
        (_route, _recorder) = (settings.Route, settings.Recorder);
        _queue = queue;
    }

    /// <summary>The clock by which delays, back-offs and timeouts go.</summary>
    public TestClock Clock => _route.Clock;

    /// <summary>How long, by the real clock, an attempt may take before
    /// <see cref="RunAsync"/> gives up on it; 30 s by default.</summary>
    public TimeSpan SettleTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The attempts that were made, in order.</summary>
    public IReadOnlyList<TaskAttempt> Attempts => _recorder.Attempts;

    /// <summary>The tasks that have not ended, in the order in which they would run.</summary>
    public IReadOnlyList<PendingTask> Pending => [.. _route.Pending().Select(p => new PendingTask(
        p.Message.Id, p.Channel.Queue, p.Message.Name, p.Message.AttemptsBefore + p.Message.Attempts - (p.Message.Leased ? 1 : 0),
        p.Message.Due > Clock.Passed ? p.Message.Due - Clock.Passed : TimeSpan.Zero, p.Channel.Handled(p.Message)))];

    /// <inheritdoc/>
    public TaskDeadLetters DeadLetters => _queue.DeadLetters;

    /// <summary>The tasks of a type that were done, in order.</summary>
    /// <typeparam name="TTask">The type.</typeparam>
    /// <returns>The tasks as their handlers got them.</returns>
    public IReadOnlyList<TTask> Done<TTask>() =>
        [.. Attempts.Where(static a => a.Error is null).Select(static a => a.Task).OfType<TTask>()];

    /// <summary>Runs the next task that may run now, to the end of its attempt.</summary>
    /// <param name="cancellationToken">Stops the waiting; the attempt continues.</param>
    /// <returns><see langword="false"/> if there was none.</returns>
    /// <exception cref="TimeoutException">It did not end within
    /// <see cref="SettleTimeout"/>; the message names it.</exception>
    public async Task<bool> RunOneAsync(CancellationToken cancellationToken = default)
    {
        if (!_started && _owned)
        {
            _started = true;
            await _queue.StartAsync(cancellationToken).ConfigureAwait(false);
        }

        return await _route.RunNextAsync(SettleTimeout, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Runs tasks until none may run now: follow-ups that they enqueue too, but
    /// not what waits for the clock.</summary>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>How many attempts were made.</returns>
    /// <exception cref="TimeoutException">An attempt did not end within
    /// <see cref="SettleTimeout"/>; the message names it.</exception>
    public async Task<int> RunAsync(CancellationToken cancellationToken = default)
    {
        int attempts = 0;
        while (await RunOneAsync(cancellationToken).ConfigureAwait(false)) attempts++;
        return attempts;
    }

    /// <summary>Moves the clock, and runs each task when it is due.</summary>
    /// <param name="by">How far.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>How many attempts were made.</returns>
    public async Task<int> AdvanceAsync(TimeSpan by, CancellationToken cancellationToken = default)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(by, TimeSpan.Zero);
        TimeSpan target = Clock.Passed + by;
        int attempts = await RunAsync(cancellationToken).ConfigureAwait(false);
        while (NextDue() is { } next && next <= target)
        {
            Clock.MoveTo(next);
            attempts += await RunAsync(cancellationToken).ConfigureAwait(false);
        }

        Clock.MoveTo(target);
        return attempts + await RunAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Runs everything to its end, moving the clock as far as that needs.</summary>
    /// <param name="within">How far at most; a day by default.</param>
    /// <param name="cancellationToken">Stops the waiting.</param>
    /// <returns>How many attempts were made.</returns>
    /// <exception cref="InvalidOperationException">Tasks are still pending then, such as
    /// recurring ones; the message names the first.</exception>
    public async Task<int> RunToEndAsync(TimeSpan? within = null, CancellationToken cancellationToken = default)
    {
        TimeSpan limit = Clock.Passed + (within ?? TimeSpan.FromDays(1));
        int attempts = await RunAsync(cancellationToken).ConfigureAwait(false);
        while (Pending.FirstOrDefault(static p => p.Handled) is { } pending)
        {
            TimeSpan next = Clock.Passed + pending.DueIn;
            if (next > limit) throw new InvalidOperationException($"task '{pending.Name}' {pending.Id} is due in {pending.DueIn}, which "
                + $"is beyond the limit; {Pending.Count:N0} tasks are pending");
            attempts += await AdvanceAsync(pending.DueIn, cancellationToken).ConfigureAwait(false);
        }

        return attempts;
    }

    private TimeSpan? NextDue()
    {
        TimeSpan? timer = Clock.NextDue,
            task = _route.Pending().Where(p => p.Message.Due > Clock.Passed).Min(static p => (TimeSpan?)p.Message.Due);
        return timer is null || task < timer ? task : timer;
    }

    /// <inheritdoc/>
    public ValueTask<TaskReceipt> EnqueueAsync<TTask>(TTask task, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default) where TTask : notnull
        => _queue.EnqueueAsync(task, options, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<TaskReceipt> EnqueueNamedAsync<TTask>(string name, TTask task, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default)
        where TTask : notnull
        => _queue.EnqueueNamedAsync(name, task, options, cancellationToken);

    /// <inheritdoc/>
    /// <remarks>Completes once the test has run the task.</remarks>
    public Task<TResult> InvokeAsync<TResult>(object task, EnqueueOptions? options = null, CancellationToken cancellationToken = default)
        => _queue.InvokeAsync<TResult>(task, options, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<IReadOnlyList<TaskReceipt>> EnqueueManyAsync<TTask>(IEnumerable<TTask> tasks, EnqueueOptions? options = null,
        CancellationToken cancellationToken = default) where TTask : notnull
        => _queue.EnqueueManyAsync(tasks, options, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CancelOutcome> CancelAsync(TaskReceipt receipt, CancellationToken cancellationToken = default) =>
        _queue.CancelAsync(receipt, cancellationToken);

    /// <inheritdoc/>
    public ValueTask<CancelOutcome> CancelAsync(string queue, TaskId id, CancellationToken cancellationToken = default) =>
        _queue.CancelAsync(queue, id, cancellationToken);

    /// <inheritdoc/>
    public Task<TResult> WaitAsync<TResult>(TaskReceipt receipt, CancellationToken cancellationToken = default) =>
        _queue.WaitAsync<TResult>(receipt, cancellationToken);

    /// <inheritdoc/>
    public Task<TResult> WaitAsync<TResult>(string queue, TaskId id, CancellationToken cancellationToken = default) =>
        _queue.WaitAsync<TResult>(queue, id, cancellationToken);

    /// <inheritdoc/>
    public Task WaitAsync(TaskReceipt receipt, CancellationToken cancellationToken = default) =>
        _queue.WaitAsync(receipt, cancellationToken);

    /// <inheritdoc/>
    public IAsyncEnumerable<TaskProgress> ProgressAsync(TaskReceipt receipt, CancellationToken cancellationToken = default) =>
        _queue.ProgressAsync(receipt, cancellationToken);

    /// <summary>Stops. What is still pending is forgotten; a handler that still runs sees its token fire.</summary>
    /// <returns>Ends when all is closed.</returns>
    public async ValueTask DisposeAsync()
    {
        if (!_owned) return;
        // By the test's clock no patience would ever end.
        await _queue.StopAsync(new CancellationToken(canceled: true)).ConfigureAwait(false);
        await _queue.DisposeAsync().ConfigureAwait(false);
    }
}
